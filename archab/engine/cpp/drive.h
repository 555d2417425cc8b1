// What every generated program ends with: the loops over blocks of LANES students and over their samples. Rows of
// samples are those of a student's target; all arrays are contiguous, and `targets` has an entry a student.

// While it lives, numbers below 1e-38 are 0: what is left of a dead unit's moments makes a step many times slower.
struct Flushed {
#if defined(__SSE__)
  unsigned before = __builtin_ia32_stmxcsr();
  Flushed() { __builtin_ia32_ldmxcsr(before | 0x8040); }
  ~Flushed() { __builtin_ia32_ldmxcsr(before); }
#endif
};

// N numbers of a row for every lane, side by side: lane by lane, since processors gather more slowly than they load.
template <long N, class T>
static inline void put(T* lanes, const T* samples, const long* rows) {
  for (int l = 0; l < LANES; l++)
    for (long i = 0; i < N; i++) lanes[i * LANES + l] = samples[rows[l] * N + i];
}

// A mini-batch of every lane into the workspace; `row` says where its b-th sample of lane l is.
template <class Row>
static inline void take(char* w, const Given* inputs, const Wanted* outputs, Row row) {
  for (long b = 0; b < BATCH; b++) {
    long rows[LANES];
    for (int l = 0; l < LANES; l++) rows[l] = row(b, l);
    put<IN>((Given*)(w + X_AT) + b * IN * LANES, inputs, rows);
    if (outputs) put<OUT>((Wanted*)(w + Y_AT) + b * OUT * LANES, outputs, rows);
  }
}

extern "C" int score(char* state, char* w, const long* targets, const Given* inputs, const Wanted* outputs, long samples,
                     long which, double* sums, long first, long last) {
  Flushed flushed;
  int outside = 0;
  for (long block = first; block < last; block++) {
    const long* target = targets + block * LANES;
    Vec<double> total = {};
    for (long start = 0; start < samples; start += BATCH) {
      long here = samples - start < BATCH ? samples - start : BATCH;
      take(w, inputs, outputs, [&](long b, int l) { return target[l] * samples + start + (b < here ? b : here - 1); });
      predict(w, state + block * STATE, nullptr, 0, &outside);
#if HITS
      if (which)
        hits(w, state + block * STATE, nullptr, 0, &outside);
      else
#endif
        errors(w, state + block * STATE, nullptr, 0, &outside);
      for (long i = 0; i < here * OUT; i++) total += ((Vec<double>*)(w + E_AT))[i];
    }
    for (int l = 0; l < LANES; l++) sums[block * LANES + l] = LANE(total);
  }
  return outside;
}

extern "C" int answer(char* state, char* w, const long* targets, const Given* inputs, long samples, Wanted* answers,
                      long first, long last) {
  Flushed flushed;
  int outside = 0;
  for (long block = first; block < last; block++) {
    const long* target = targets + block * LANES;
    for (long start = 0; start < samples; start += BATCH) {
      long here = samples - start < BATCH ? samples - start : BATCH;
      take(w, inputs, nullptr, [&](long b, int l) { return target[l] * samples + start + (b < here ? b : here - 1); });
      predict(w, state + block * STATE, nullptr, 0, &outside);
      const Wanted* found = (const Wanted*)(w + P_AT);
      for (int l = 0; l < LANES; l++)
        for (long i = 0; i < here * OUT; i++)
          answers[((block * LANES + l) * samples + start) * OUT + i] = found[i * LANES + l];
    }
  }
  return outside;
}

// The steps at … at + steps - 1 of students who make samples / BATCH of them an epoch; `orders` has one for each epoch
// from that of the first step on, and `numbers` are of these steps alone, one behind the other: of every block, or, where
// they are not `apart`, of all.
extern "C" int train(char* state, char* w, const long* targets, const Given* inputs, const Wanted* outputs,
                     const long* const* orders, const Number* numbers, long apart, long samples, long at, long steps,
                     long first, long last) {
  Flushed flushed;
  int outside = 0;
  long epoch = samples / BATCH;
  for (long block = first; block < last; block++) {
    const long* target = targets + block * LANES;
    for (long t = at; t < at + steps; t++) {
      const long* order = orders[t / epoch - at / epoch] + t % epoch * BATCH;
      take(w, inputs, outputs, [&](long b, int l) { return target[l] * samples + order[target[l] * samples + b]; });
      step(w, state + block * STATE, numbers + (apart * block * steps + t - at) * NUMBERS * LANES, t + 1, &outside);
    }
  }
  return outside;
}
