// Products of matrices and reductions where a program holds one student: vectors run along an axis, not over students.

#ifdef __AVX512F__
constexpr int WIDEST = 64, SUMS = 24;  // bytes of a register, and how many hold sums
#else
constexpr int WIDEST = 32, SUMS = 12;
#endif
constexpr long STACK = 128 * 1024;  // bytes that a product may put there

template <class X, int W> struct Wide { typedef X type __attribute__((vector_size(sizeof(X) * W), aligned(sizeof(X)))); };
template <class X> struct Wide<X, 1> { typedef X type; };

// How many numbers side by side fit an axis of n.
template <class X> constexpr int wide(long n) {
  int w = WIDEST / sizeof(X);
  while (w > n && w > 1) w /= 2;
  return w;
}

struct Sum { template <class X> X operator()(X a, X b) const { return a + b; } };
struct Largest { template <class X> X operator()(X a, X b) const { return (a > b) | (a != a) ? a : b; } };
struct Smallest { template <class X> X operator()(X a, X b) const { return (a < b) | (a != a) ? a : b; } };

// What joins W numbers by halves.
template <class Join, int W, class X, class V> static inline X halved(V v) {
  if constexpr (W == 1) return v;
  else if constexpr (W == 2) return Join()(v[0], v[1]);
  else {
    typename Wide<X, W / 2>::type low, high;
    __builtin_memcpy(&low, &v, sizeof low);
    __builtin_memcpy(&high, (char*)&v + sizeof low, sizeof high);
    return halved<Join, W / 2, X>(Join()(low, high));
  }
}

// a joined with the N numbers of x.
template <class Join, long N, class X, class F> static inline X folded(X a, F x) {
  constexpr int W = wide<X>(N);
  typedef typename Wide<X, W>::type V;
  if constexpr (W > 1) {
    V sum;
    for (long k = 0; k + W <= N; k += W) {
      alignas(64) X here[W];
      _Pragma("omp simd") for (int l = 0; l < W; l++) here[l] = x(k + l);
      sum = k == 0 ? *(V*)here : Join()(sum, *(V*)here);
    }
    a = Join()(a, halved<Join, W, X>(sum));
  }
  for (long k = W > 1 ? N / W * W : 0; k < N; k++) a = Join()(a, x(k));
  return a;
}

// I rows and J vectors of W columns of the result, or what is ADDed to them.
template <bool ADD, int I, int J, int W, long K, long A0, long A1, long B0, long O0, long O1, class X>
static inline void tile(const X* a, const X* b, X* out) {
  typedef typename Wide<X, W>::type V;
  V sum[I][J] = {};
  for (long k = 0; k < K; k++) {
    V row[J];
#pragma GCC unroll 8
    for (int j = 0; j < J; j++) row[j] = *(const V*)(b + k * B0 + j * W);
#pragma GCC unroll 32
    for (int i = 0; i < I; i++)
#pragma GCC unroll 8
      for (int j = 0; j < J; j++) sum[i][j] += a[i * A0 + k * A1] * row[j];
  }
#pragma GCC unroll 32
  for (int i = 0; i < I; i++)
#pragma GCC unroll 8
    for (int j = 0; j < J; j++) {
      if constexpr (O1 == 1 || W == 1) {
        V& to = *(V*)(out + i * O0 + j * W * O1);
        to = ADD ? to + sum[i][j] : sum[i][j];
      } else {
        for (int l = 0; l < W; l++) {
          X& to = out[i * O0 + (j * W + l) * O1];
          to = ADD ? to + sum[i][j][l] : sum[i][j][l];
        }
      }
    }
}

// J vectors of columns, of all M rows; columns that are not side by side are first brought there.
template <bool ADD, int J, int W, long M, long K, long A0, long A1, long B0, long B1, long O0, long O1, class X>
static inline void some(const X* a, const X* b, X* out) {
  constexpr int I = M < 1 ? 1 : SUMS / J < M ? SUMS / J : M;
  constexpr bool moved = B1 != 1 && W > 1;
  constexpr long N = J * W, S0 = moved ? N : B0;
  alignas(64) X beside[moved ? K * N : 1];
  if constexpr (moved) {
    for (long j = 0; j < N; j++)
      for (long k = 0; k < K; k++) beside[k * N + j] = b[k * B0 + j * B1];
    b = beside;
  }
  long i = 0;
  for (; i + I <= M; i += I) tile<ADD, I, J, W, K, A0, A1, S0, O0, O1>(a + i * A0, b, out + i * O0);
  if constexpr (M % I != 0) tile<ADD, M % I, J, W, K, A0, A1, S0, O0, O1>(a + i * A0, b, out + i * O0);
}

// The same, where all summands at once would not fit on the stack, part by part.
template <int J, int W, long M, long K, long A0, long A1, long B0, long B1, long O0, long O1, class X>
static inline void panel(const X* a, const X* b, X* out) {
  constexpr long most = B1 == 1 || W == 1 ? K : STACK / (sizeof(X) * J * W);
  if constexpr (K <= most) {
    some<false, J, W, M, K, A0, A1, B0, B1, O0, O1>(a, b, out);
  } else {
    some<false, J, W, M, most, A0, A1, B0, B1, O0, O1>(a, b, out);
    long k = most;
    for (; k + most <= K; k += most) some<true, J, W, M, most, A0, A1, B0, B1, O0, O1>(a + k * A1, b + k * B0, out);
    if constexpr (K % most != 0) some<true, J, W, M, K % most, A0, A1, B0, B1, O0, O1>(a + k * A1, b + k * B0, out);
  }
}

template <long M, long N, long K, long A0, long A1, long B0, long B1, long O0, long O1, class X>
static inline void along(const X* a, const X* b, X* out) {
  constexpr int W = wide<X>(N);
  constexpr long vectors = N / W, J = vectors < 1 ? 1 : vectors < 4 ? vectors : M < SUMS / 4 ? 4 : 3;
  long j = 0;
  for (; j + J * W <= N; j += J * W) panel<J, W, M, K, A0, A1, B0, B1, O0, O1>(a, b + j * B1, out + j * O1);
  for (; j < N; j += W) {  // the last vector ends with the axis, and does some of the last but one again
    long at = j + W <= N ? j : N - W;
    panel<1, W, M, K, A0, A1, B0, B1, O0, O1>(a, b + at * B1, out + at * O1);
  }
}

// out[i, j] = sum over k of a[i, k] b[k, j]; vectors run along j, or i, whichever has to move fewer numbers.
template <int, int, long M, long N, long K, long A0, long A1, long B0, long B1, long O0, long O1, class X>
static inline void matmul(const X* a, const X* b, X* out) {
  constexpr long columns = (B1 == 1 ? 0 : K * N) + (O1 == 1 ? 0 : M * N) + M * N * K / wide<X>(N);
  constexpr long rows = (A0 == 1 ? 0 : M * K) + (O0 == 1 ? 0 : M * N) + M * N * K / wide<X>(M);
  if constexpr (columns <= rows) along<M, N, K, A0, A1, B0, B1, O0, O1>(a, b, out);
  else along<N, M, K, B1, B0, A1, A0, O1, O0>(b, a, out);
}
