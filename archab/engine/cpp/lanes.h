// What every generated program begins with: a vector holds one number of each of LANES students.
#if __has_include(<features.h>)
#include <features.h>
#endif

// The C library's mathematics by declarations of its own: a fifth of the time of compiling would go into its headers.
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
constexpr double PI = 3.14159265358979323846;

#if LANES > 1
template <class T>
using Vec __attribute__((vector_size(sizeof(T) * LANES))) = T;
#define LANE(x) (x)[l]
#else
template <class T> using Vec = T;
#define LANE(x) (x)
#endif
typedef Vec<int> Mask;  // a boolean: 0 or -1 in every lane

#define KERNEL __attribute__((noinline)) static void

// glibc's vector mathematics, which its headers show to -ffast-math alone.
#if defined(__GLIBC__) && defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
extern "C" {
#define VECTORISED(name)                                                  \
  __attribute__((__simd__("notinbranch"))) float name##f(float) noexcept; \
  __attribute__((__simd__("notinbranch"))) double name(double) noexcept;
VECTORISED(exp) VECTORISED(log) VECTORISED(sin) VECTORISED(cos)
#if __GLIBC_PREREQ(2, 35)
VECTORISED(tanh) VECTORISED(erf) VECTORISED(expm1) VECTORISED(log1p) VECTORISED(atan) VECTORISED(sinh) VECTORISED(cosh)
#endif
}
#endif

template <class X> constexpr bool is_vector = LANES > 1 && sizeof(X) >= 4 * LANES;

template <class T> struct Scalar { typedef T type; };
#if LANES > 1
template <> struct Scalar<Vec<float>> { typedef float type; };
template <> struct Scalar<Vec<double>> { typedef double type; };
template <> struct Scalar<Vec<long>> { typedef long type; };
template <> struct Scalar<Vec<int>> { typedef int type; };
template <> struct Scalar<Vec<unsigned>> { typedef unsigned type; };
#endif

#define EVERY(expression)                                  \
  ({                                                       \
    X y;                                                   \
    _Pragma("omp simd") for (int l = 0; l < LANES; l++) y[l] = expression; \
    y;                                                     \
  })
#define PLAIN(name)                                            \
  extern "C" float name##f(float) noexcept;                    \
  extern "C" double name(double) noexcept;                     \
  static inline float name##_(float x) { return name##f(x); }  \
  static inline double name##_(double x) { return name(x); }
#if LANES > 1
#define FUNCTION(name)                                                                      \
  PLAIN(name)                                                                               \
  static inline Vec<float> name##_(Vec<float> x) { typedef Vec<float> X; return EVERY(name##f(x[l])); } \
  static inline Vec<double> name##_(Vec<double> x) { typedef Vec<double> X; return EVERY(name(x[l])); }
#else
#define FUNCTION(name) PLAIN(name)
#endif
FUNCTION(exp) FUNCTION(log) FUNCTION(sin) FUNCTION(cos) FUNCTION(tanh) FUNCTION(erf) FUNCTION(expm1) FUNCTION(log1p)
FUNCTION(sqrt) FUNCTION(floor) FUNCTION(ceil) FUNCTION(trunc) FUNCTION(rint) FUNCTION(atan) FUNCTION(sinh) FUNCTION(cosh)
FUNCTION(acos) FUNCTION(asin) FUNCTION(tan) FUNCTION(acosh) FUNCTION(asinh) FUNCTION(atanh) FUNCTION(log2) FUNCTION(log10)
FUNCTION(exp2) FUNCTION(erfc) FUNCTION(lgamma)
#define OF_TWO(name)                                                                    \
  extern "C" float name##f(float, float) noexcept;                                      \
  extern "C" double name(double, double) noexcept;                                      \
  static inline float name##_of(float x, float y) { return name##f(x, y); }             \
  template <class T> static inline double name##_of(T x, T y) { return name(x, y); }
OF_TWO(pow) OF_TWO(atan2) OF_TWO(fmod)

template <class X> static inline X up(typename Scalar<X>::type s) { return s - X{}; }  // x - 0 keeps the sign of -0
template <> inline float up<float>(float s) { return s; }
template <> inline double up<double>(double s) { return s; }
template <> inline long up<long>(long s) { return s; }
template <> inline int up<int>(int s) { return s; }

static inline int mask(bool m) { return -int(m); }
#if LANES > 1
static inline Mask mask(Vec<int> m) { return m; }
static inline Mask mask(Vec<long> m) { return __builtin_convertvector(m, Mask); }
static inline Vec<float> sel(Mask m, Vec<float> a, Vec<float> b) { return m ? a : b; }
static inline Vec<int> sel(Mask m, Vec<int> a, Vec<int> b) { return m ? a : b; }
static inline Vec<double> sel(Mask m, Vec<double> a, Vec<double> b) { return __builtin_convertvector(m, Vec<long>) ? a : b; }
static inline Vec<long> sel(Mask m, Vec<long> a, Vec<long> b) { return __builtin_convertvector(m, Vec<long>) ? a : b; }
#endif
template <class X> static inline X sel(int m, X a, X b) { return m ? a : b; }

template <class To, class From> static inline To to(From x) {
  if constexpr (is_vector<From>) return __builtin_convertvector(x, To);
  else return To(x);
}

// NaN goes through, as in torch.
template <class X> static inline X relu_(X x) { return sel(mask(x < X{}), X{}, x); }
template <class X> static inline X max_(X a, X b) { return sel(mask(a > b) | mask(a != a), a, b); }
template <class X> static inline X min_(X a, X b) { return sel(mask(a < b) | mask(a != a), a, b); }
template <class X> static inline X bound_low(X x, X low) { return sel(mask(x < low), low, x); }
template <class X> static inline X bound_high(X x, X high) { return sel(mask(x > high), high, x); }
template <class X> static inline X abs_(X x) { return sel(mask(x < X{}), -x, x + X{}); }
template <class X> static inline X sign_(X x) {
  X one = up<X>(1);
  return sel(mask(x > X{}), one, sel(mask(x < X{}), -one, X{}));  // of NaN 0, as in torch
}
template <class X> static inline X hypot_(X a, X b) {  // of the ratio, since squares are soon too large or too small
  X x = abs_(a), y = abs_(b), large = max_(x, y), ratio = min_(x, y) / large;
  X infinite = up<X>(INFINITY);
  X size = sel(mask(large == X{}), large, large * sqrt_(1 + ratio * ratio));
  return sel(mask(x == infinite) | mask(y == infinite), infinite, size);
}
template <class X> static inline X unit_(X a, X b) {  // of the complex number a + ib, its real part over its size
  X size = hypot_(a, b);
  return sel(mask(size == X{}), size, a / size);
}
template <class X> static inline X sigmoid_(X x) { return 1 / (1 + exp_(-x)); }
template <class X> static inline X softplus_(X x, X beta, X threshold) {
  return sel(mask(x * beta > threshold), x, log1p_(exp_(x * beta)) / beta);
}
// By its recurrence up to 10 and the asymptotic series from there (Abramowitz and Stegun, 6.3.18), left of 0 by reflection.
static inline double digamma_(double x) {
  if (x == 0) return __builtin_copysign(INFINITY, -x);
  if (x < 0) return floor(x) == x ? NAN : digamma_(1 - x) - PI / tan(PI * (x - trunc(x)));
  double below = 0;
  for (; x < 10; x += 1) below -= 1 / x;
  double f = 1 / (x * x);
  double series = f * (1. / 12 - f * (1. / 120 - f * (1. / 252 - f * (1. / 240 - f * (1. / 132 - f * 691. / 32760)))));
  return below + log(x) - 0.5 / x - series;
}
template <class X> static inline X digamma_(X x) {
  if constexpr (is_vector<X>) return EVERY(digamma_(double(x[l])));
  else return digamma_(double(x));
}
// From Winitzki's approximation by Newton's steps on the tail, whose share of the rounding stays small.
static inline double erfinv_(double y) {
  double tail = 1 - __builtin_fabs(y);
  if (!(tail > 0)) return tail == 0 ? __builtin_copysign(INFINITY, y) : NAN;
  double log_ = log(tail * (2 - tail)), half = 2 / (PI * 0.147) + log_ / 2;
  double x = sqrt(sqrt(half * half - log_ / 0.147) - half);
  for (int k = 0; k < 4; k++) {
    double step = (tail > 0.5 ? __builtin_fabs(y) - erf(x) : erfc(x) - tail) * exp(x * x) * sqrt(PI) / 2;
    x += step / (1 + x * step);
  }
  return __builtin_copysign(x, y);
}
template <class X> static inline X erfinv_(X x) {
  if constexpr (is_vector<X>) return EVERY(erfinv_(double(x[l])));
  else return erfinv_(double(x));
}
template <class X> static inline X pow_(X x, X p) {
  if constexpr (is_vector<X>) return EVERY(pow_of(x[l], p[l]));
  else return pow_of(x, p);
}
template <class X> static inline X atan2_(X y, X x_) {
  if constexpr (is_vector<X>) { X x = y; return EVERY(atan2_of(x[l], x_[l])); }
  else return atan2_of(y, x_);
}
template <class X> static inline X remainder_(X a, X b) {  // with the sign of a, as C's fmod
  if constexpr (is_vector<X>) { X x = a; return EVERY(fmod_of(x[l], b[l])); }
  else return fmod_of(a, b);
}
template <class X> static inline X floordiv_(X a, X b) {  // of integers
  X q = a / b;
  return q - sel(mask((a % b) != X{}) & mask((a < X{}) != (b < X{})), up<X>(1), X{});
}
template <class X> static inline X floored_(X a, X b) {  // a / b rounded down, exact as Python's
  X rest = remainder_(a, b), over = (a - rest) / b;
  over = over - sel(mask(rest != X{}) & mask((rest < X{}) != (b < X{})), up<X>(1), X{});
  X whole = floor_(over);
  whole = whole + sel(mask(over - whole > up<X>(0.5)), up<X>(1), X{});
  return sel(mask(b == X{}), a / b, sel(mask(over == X{}), a / b * X{}, whole));
}
template <class X> static inline X modulo_(X a, X b) {  // with the sign of b, as Python's; exact, as C's is
  X r = remainder_(a, b);
  return sel(mask(r != X{}) & mask((r < X{}) != (b < X{})), r + b, r);
}

// In half precision, of which float32 holds every number: the nearest, or that with an even last bit.
template <class X, class U> static inline X but_bits(X x, U, int bits) {
  U u = __builtin_bit_cast(U, x);
  u = (u + (((u >> bits) & 1u) + ((1u << (bits - 1)) - 1u))) & ~((1u << bits) - 1u);
  return __builtin_bit_cast(X, u);
}
static inline float but_bits(float x, int bits) { return but_bits(x, 0u, bits); }
#if LANES > 1
static inline Vec<float> but_bits(Vec<float> x, int bits) { return but_bits(x, Vec<unsigned>{}, bits); }
#endif
template <class X> static inline X bf16_(X x) { return sel(mask(x == x), but_bits(x, 16), x); }
template <class X> static inline X f16_(X x) {
  X size = abs_(x), half = up<X>(0.5f);
  X near = sel(mask(size < up<X>(0x1p-14f)), size + half - half, but_bits(size, 13));  // steps of 2^-24 at the least
  near = sel(mask(near > up<X>(65504)), up<X>(INFINITY), near);
  return sel(mask(x != x), x, sel(mask(x < X{}), -near, sel(mask(x == X{}), x, near)));
}

// Dropout's hash of student, step, site and element, as in archab/engine/noise.py.
template <class X> static inline X mix(X x) {
  x = (x ^ (x >> 16)) * 0x7FEB352Du;
  x = (x ^ (x >> 15)) * 0x846CA68Bu;
  return x ^ (x >> 16);
}
static inline Vec<unsigned> add_word(Vec<unsigned> key, Vec<unsigned> word) { return mix(key + word * 0x85EBCA6Bu + 0x27D4EB2Fu); }
static inline Vec<unsigned> key_of(Vec<long> student, long step, unsigned site) {
  Vec<unsigned> low = to<Vec<unsigned>>(student), high = to<Vec<unsigned>>(student >> 32);
  Vec<unsigned> zero = {};
  return add_word(add_word(add_word(mix(low ^ 0x9E3779B9u), high), zero + (unsigned)step), zero + site);
}
template <class X> static inline X uniform_(Vec<unsigned> key, unsigned element) {
  Vec<unsigned> bits = mix(mix((element * 0x9E3779B1u) ^ key) + key) >> 8;
  return to<X>(to<Vec<int>>(bits)) * typename Scalar<X>::type(1.0 / 16777216);
}

// The logarithm of the sum of two exponentials.
template <class X> static inline X added(X a, X b) {
  X high = max_(a, b), low = min_(a, b);
  return sel(mask(low == up<X>(-INFINITY)) | mask(high == up<X>(INFINITY)), high, high + log1p_(exp_(low - high)));
}

// What stands before what in an order; NaN is the largest, as in torch.
template <class T> static inline bool before(T x, T y, bool descending) {
  return descending ? x > y || (x != x && y == y) : x < y || (y != y && x == x);
}
// The first K of N numbers in order, and where each was; of equal ones the first comes first.
template <long N, long K, class T, class Get, class Put>
static inline void ordered(bool descending, Get get, Put put) {
  T values[N];
  long places[N];
  for (long k = 0; k < N; k++) {
    T x = get(k);
    long j = k;
    for (; j > 0 && before(x, values[j - 1], descending); j--) {
      values[j] = values[j - 1];
      places[j] = places[j - 1];
    }
    values[j] = x;
    places[j] = k;
  }
  for (long k = 0; k < K; k++) put(k, values[k], places[k]);
}

// An index into an axis of n: negative ones count from its end; others outside are reported, and read at 0.
static inline long wrap(long i, long n, int* outside) {
  if (i < 0) i += n;
  if (i < 0 || i >= n) { *outside = 1; return 0; }
  return i;
}

#if LANES > 1
// out[i, j] = sum over k of a[i, k] b[k, j], in tiles of I × J that stay in registers; b may be of plain numbers.
template <int I, int J, long K, long A0, long A1, long B0, long B1, long O0, long O1, class X, class Y>
static inline void tile(const X* a, const Y* b, X* out) {
  X sum[I][J] = {};
  for (long k = 0; k < K; k++) {
    X row[I];
#pragma GCC unroll 16
    for (int i = 0; i < I; i++) row[i] = a[i * A0 + k * A1];
#pragma GCC unroll 16
    for (int j = 0; j < J; j++) {
      Y column = b[k * B0 + j * B1];
#pragma GCC unroll 16
      for (int i = 0; i < I; i++) sum[i][j] += row[i] * column;
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < I; i++)
#pragma GCC unroll 16
    for (int j = 0; j < J; j++) out[i * O0 + j * O1] = sum[i][j];
}
template <int I, int J, long M, long N, long K, long A0, long A1, long B0, long B1, long O0, long O1, class X, class Y>
static inline void matmul(const X* a, const Y* b, X* out) {
  long i = 0;
  for (; i + I <= M; i += I) {
    long j = 0;
    for (; j + J <= N; j += J) tile<I, J, K, A0, A1, B0, B1, O0, O1>(a + i * A0, b + j * B1, out + i * O0 + j * O1);
    if constexpr (N % J != 0) tile<I, N % J, K, A0, A1, B0, B1, O0, O1>(a + i * A0, b + j * B1, out + i * O0 + j * O1);
  }
  if constexpr (M % I != 0) {
    long j = 0;
    for (; j + J <= N; j += J) tile<M % I, J, K, A0, A1, B0, B1, O0, O1>(a + i * A0, b + j * B1, out + i * O0 + j * O1);
    if constexpr (N % J != 0)
      tile<M % I, N % J, K, A0, A1, B0, B1, O0, O1>(a + i * A0, b + j * B1, out + i * O0 + j * O1);
  }
}
#endif
