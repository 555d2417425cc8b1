// Linear algebra of small matrices. No lane looks at another: what is repeated until all lanes are done leaves those that
// were done before as they are, to the bit.

namespace linalg {

template <long S0, long S1, class T> struct Matrix {
  typedef T X;
  T* at;
  T& operator()(long i, long j = 0) const { return at[i * S0 + j * S1]; }
  Matrix<S1, S0, T> t() const { return {at}; }
};
template <long S0, long S1, class T> static inline Matrix<S0, S1, T> matrix(T* at) { return {at}; }

template <class X> constexpr typename Scalar<X>::type epsilon = sizeof(typename Scalar<X>::type) == 4 ? __FLT_EPSILON__ : __DBL_EPSILON__;

template <class M> static inline bool any(M m) {
  auto found = m[0];
  for (int l = 1; l < LANES; l++) found |= m[l];
  return found;
}

template <int M, int N, class A, class B> static inline void copy(A a, B b) {
  for (long i = 0; i < M; i++)
    for (long j = 0; j < N; j++) b(i, j) = a(i, j);
}

template <int M, int N, class A> static inline void identity(A a) {
  typedef typename A::X X;
  for (long i = 0; i < M; i++)
    for (long j = 0; j < N; j++) a(i, j) = up<X>(i == j);
}

// The triangle on and below the diagonal, above it as well, as of what is symmetric.
template <int N, class A, class B> static inline void mirror(A a, B b) {
  for (long i = 0; i < N; i++)
    for (long j = 0; j <= i; j++) b(i, j) = b(j, i) = a(i, j);
}

template <int M, int N, bool UPPER, bool UNIT, class A, class B> static inline void triangle(A a, B b) {
  typedef typename A::X X;
  for (long i = 0; i < M; i++)
    for (long j = 0; j < N; j++) b(i, j) = UNIT && i == j ? up<X>(1) : (UPPER ? j >= i : j <= i) ? a(i, j) : X{};
}

template <int N, class M, class A> static inline void exchange_rows(M m, A a, long i, long k) {
  for (long j = 0; j < N; j++) {
    auto u = a(i, j), v = a(k, j);
    a(i, j) = m ? v : u;
    a(k, j) = m ? u : v;
  }
}

// a x = b for the K columns of b, which become x; a is triangular.
template <int N, int K, bool UPPER, bool UNIT, class A, class B> static inline void solve_triangular(A a, B b) {
  typedef typename A::X X;
  for (long step = 0; step < N; step++) {
    long i = UPPER ? N - 1 - step : step;
    for (long k = UPPER ? i + 1 : 0; k < (UPPER ? N : i); k++) {
      X factor = a(i, k);
      for (long j = 0; j < K; j++) b(i, j) -= factor * b(k, j);
    }
    if (UNIT) continue;
    X inverse = 1 / a(i, i);
    for (long j = 0; j < K; j++) b(i, j) *= inverse;
  }
}

// The M rows of b as P pivots (from 1 on, as LAPACK's) put them, or back.
template <int M, int N, int P, bool BACK, class I, class B> static inline void permute(I pivots, B b) {
  typedef typename B::X X;
  for (long step = 0; step < P; step++) {
    long k = BACK ? P - 1 - step : step;
    X at = to<X>(pivots(k));
    for (long i = k + 1; i < M; i++) exchange_rows<N>(at == up<X>(i + 1), b, k, i);
  }
}

template <int M, int N, class A, class P> static inline void lu(A a, P pivots) {
  typedef typename A::X X;
  for (long k = 0; k < (M < N ? M : N); k++) {
    X best = abs_(a(k, k)), at = up<X>(k + 1);
    for (long i = k + 1; i < M; i++) {
      X size = abs_(a(i, k));
      auto larger = size > best;
      best = larger ? size : best;
      at = larger ? up<X>(i + 1) : at;
    }
    pivots(k) = to<typename P::X>(at);
    for (long i = k + 1; i < M; i++) exchange_rows<N>(at == up<X>(i + 1), a, k, i);
    X inverse = a(k, k) == X{} ? X{} : 1 / a(k, k);
    for (long i = k + 1; i < M; i++) {
      X factor = a(i, k) *= inverse;
      for (long j = k + 1; j < N; j++) a(i, j) -= factor * a(k, j);
    }
  }
}

// a x = b, or aᵀ x = b, of a's factors.
template <int N, int K, bool TRANSPOSED, class A, class P, class B> static inline void lu_solve(A a, P pivots, B b) {
  if (TRANSPOSED) {
    solve_triangular<N, K, false, false>(a.t(), b);
    solve_triangular<N, K, true, true>(a.t(), b);
    permute<N, K, N, true>(pivots, b);
  } else {
    permute<N, K, N, false>(pivots, b);
    solve_triangular<N, K, false, true>(a, b);
    solve_triangular<N, K, true, false>(a, b);
  }
}

template <class P> static inline auto odd(P pivots, long k) { return pivots(k) != int(k + 1); }

template <int N, class A, class P, class D> static inline void determinant(A a, P pivots, D out, D) {
  typedef typename A::X X;
  X product = up<X>(1);
  for (long k = 0; k < N; k++) product *= sel(odd(pivots, k), -a(k, k), a(k, k));
  out(0) = product;
}

template <int N, class A, class P, class D> static inline void log_determinant(A a, P pivots, D sign, D size) {
  typedef typename A::X X;
  X product = up<X>(1), sum = {};
  for (long k = 0; k < N; k++) {
    X one = sign_(a(k, k));
    product *= sel(odd(pivots, k), -one, one);
    sum += log_(abs_(a(k, k)));
  }
  sign(0) = product;
  size(0) = sum;
}

template <int N, class A, class B> static inline void cholesky(A a, B b) {
  typedef typename A::X X;
  triangle<N, N, false, false>(a, b);
  for (long j = 0; j < N; j++) {
    for (long k = 0; k < j; k++)
      for (long i = j; i < N; i++) b(i, j) -= b(i, k) * b(j, k);
    X root = sqrt_(b(j, j)), inverse = 1 / root;
    b(j, j) = root;
    for (long i = j + 1; i < N; i++) b(i, j) *= inverse;
  }
}

template <int N, int K, class A, class B> static inline void cholesky_solve(A a, B b) {
  solve_triangular<N, K, false, false>(a, b);
  solve_triangular<N, K, true, false>(a.t(), b);
}

// a's columns j … beside reflector k, which stands below the diagonal of v.
template <int M, int N, class V, class X, class A> static inline void reflect(V v, X tau, long k, A a, long j) {
  for (; j < N; j++) {
    X sum = a(k, j);
    for (long i = k + 1; i < M; i++) sum += v(i, k) * a(i, j);
    sum *= tau;
    a(k, j) -= sum;
    for (long i = k + 1; i < M; i++) a(i, j) -= v(i, k) * sum;
  }
}

// r on and above the diagonal of a, the reflectors below, with LAPACK's signs: what is 0 already is not reflected.
template <int M, int N, class A, class T> static inline void reflectors(A a, T taus) {
  typedef typename A::X X;
  for (long k = 0; k < (M < N ? M : N); k++) {
    X first = a(k, k), rest = {};
    for (long i = k + 1; i < M; i++) rest += a(i, k) * a(i, k);
    auto none = rest == X{};
    X norm = sqrt_(first * first + rest);
    X beta = none ? first : first < X{} ? norm : -norm;
    X tau = none ? X{} : (beta - first) / beta, scale = none ? X{} : 1 / (first - beta);
    for (long i = k + 1; i < M; i++) a(i, k) *= scale;
    a(k, k) = beta;
    taus(k) = tau;
    reflect<M, N>(a, tau, k, a, k + 1);
  }
}

// The first N columns of the product of K reflectors.
template <int M, int N, int K, class A, class T, class Q> static inline void product(A a, T taus, Q q) {
  identity<M, N>(q);
  for (long k = K - 1; k >= 0; k--) reflect<M, N>(a, taus(k), k, q, k);
}

// Cosine and sine of the smaller angle whose tangent t is a root of t² + 2 t (y - x) / 2z = 1; none where z is small.
template <class M, class X> static inline void angle(M turned, X x, X y, X z, X& cosine, X& sine) {
  X theta = (y - x) / (z + z);
  X t = 1 / (abs_(theta) + sqrt_(theta * theta + 1));
  t = turned ? (theta < X{} ? -t : t) : X{};
  cosine = 1 / sqrt_(t * t + 1);
  sine = t * cosine;
}

template <int N, class M, class X, class A> static inline void turn_rows(M turned, X cosine, X sine, A a, long p, long q) {
  for (long k = 0; k < N; k++) {
    X u = a(p, k), v = a(q, k);
    a(p, k) = turned ? cosine * u - sine * v : u;
    a(q, k) = turned ? sine * u + cosine * v : v;
  }
}

constexpr int SWEEPS = 40;  // Jacobi's method takes about 6 to 10; a NaN takes none

// Eigenvalues, ascending, and vectors of a symmetric a, which is overwritten.
template <int N, class A, class W, class V> static inline void eigh(A a, W values, V vectors) {
  typedef typename A::X X;
  X small = {};
  for (long i = 0; i < N; i++)
    for (long j = 0; j < N; j++) small += a(i, j) * a(i, j);
  small = sqrt_(small) * (epsilon<X> / 16);
  identity<N, N>(vectors);
  bool more = true;
  for (int sweep = 0; more && sweep < SWEEPS; sweep++) {
    more = false;
    for (long p = 0; p < N; p++)
      for (long q = p + 1; q < N; q++) {
        auto turned = abs_(a(p, q)) > small;
        if (!any(turned)) continue;
        more = true;
        X cosine, sine;
        angle(turned, a(p, p), a(q, q), a(p, q), cosine, sine);
        turn_rows<N>(turned, cosine, sine, a, p, q);
        turn_rows<N>(turned, cosine, sine, a.t(), p, q);
        a(p, q) = a(q, p) = turned ? X{} : a(p, q);
        turn_rows<N>(turned, cosine, sine, vectors.t(), p, q);
      }
  }
  for (long i = 0; i < N; i++) values(i) = a(i, i);
  for (long i = 0; i < N; i++)
    for (long j = i + 1; j < N; j++) {
      auto smaller = values(j) < values(i);
      exchange_rows<1>(smaller, values, i, j);
      exchange_rows<N>(smaller, vectors.t(), i, j);
    }
}

// a (M × N, M >= N, overwritten) = the first N of u's C columns times s, descending, times vᵀ: columns of a are turned until
// they are orthogonal; reflectors then give those of u where a value is 0 or C > N, too.
template <int M, int N, int C, class A, class T, class U, class W, class V>
static inline void svd(A a, T taus, U u, W values, V v) {
  typedef typename A::X X;
  identity<N, N>(v);
  bool more = true;
  for (int sweep = 0; more && sweep < SWEEPS; sweep++) {
    more = false;
    for (long p = 0; p < N; p++)
      for (long q = p + 1; q < N; q++) {
        X x = {}, y = {}, z = {};
        for (long i = 0; i < M; i++) {
          x += a(i, p) * a(i, p);
          y += a(i, q) * a(i, q);
          z += a(i, p) * a(i, q);
        }
        auto turned = abs_(z) > sqrt_(x) * sqrt_(y) * (M * epsilon<X>);
        if (!any(turned)) continue;
        more = true;
        X cosine, sine;
        angle(turned, x, y, z, cosine, sine);
        turn_rows<M>(turned, cosine, sine, a.t(), p, q);
        turn_rows<N>(turned, cosine, sine, v.t(), p, q);
      }
  }
  for (long j = 0; j < N; j++) {
    X sum = {};
    for (long i = 0; i < M; i++) sum += a(i, j) * a(i, j);
    values(j) = sum;
  }
  for (long i = 0; i < N; i++)
    for (long j = i + 1; j < N; j++) {
      auto larger = values(j) > values(i);
      exchange_rows<1>(larger, values, i, j);
      exchange_rows<M>(larger, a.t(), i, j);
      exchange_rows<N>(larger, v.t(), i, j);
    }
  reflectors<M, N>(a, taus);
  product<M, C, N>(a, taus, u);
  for (long j = 0; j < N; j++) {
    auto negative = a(j, j) < X{};
    values(j) = abs_(a(j, j));
    for (long i = 0; i < M; i++) u(i, j) = negative ? -u(i, j) : u(i, j);
  }
}

// v (1 / s) uᵀ, where a value is larger than both bounds.
template <int M, int N, class U, class W, class V, class B>
static inline void pseudoinverse(U u, W values, V v, double absolute, double relative, B b) {
  typedef typename B::X X;
  typedef typename Scalar<X>::type S;
  X least = values(0) * S(relative);
  least = least < S(absolute) ? up<X>(S(absolute)) : least;
  for (long i = 0; i < N; i++)
    for (long j = 0; j < M; j++) b(i, j) = X{};
  for (long k = 0; k < N; k++) {
    X inverse = values(k) > least ? 1 / values(k) : X{};
    for (long i = 0; i < N; i++)
      for (long j = 0; j < M; j++) b(i, j) += v(i, k) * inverse * u(j, k);
  }
}

// exp(a) by its series of degree 16, of a / 2ᵏ of norm 0.75 at most, which is squared k times; work holds 6 matrices.
template <int N, class A, class W, class B> static inline void exponential(A a, W work, B out) {
  typedef typename A::X X;
  typedef typename Scalar<X>::type S;
  X *power[4], *sum = &work(4 * N), *other = &work(5 * N);
  for (int k = 0; k < 4; k++) power[k] = &work(k * N);
  auto times = [](X* x, X* y, X* z) { matmul<4, 4, N, N, N, N, 1, N, 1, N, 1>(x, y, z); };
  X norm = {}, scale = up<X>(1), halved = {};
  for (long j = 0; j < N; j++) {
    X column = {};
    for (long i = 0; i < N; i++) column += abs_(a(i, j));
    norm = column > norm ? column : norm;
  }
  for (int k = 0; k < 128; k++) {
    auto large = norm * scale > S(0.75);
    if (!any(large)) break;
    scale = large ? scale * S(0.5) : scale;
    halved = large ? halved + 1 : halved;
  }
  for (long i = 0; i < N; i++)
    for (long j = 0; j < N; j++) power[0][i * N + j] = a(i, j) * scale;
  times(power[0], power[0], power[1]);
  times(power[1], power[0], power[2]);
  times(power[1], power[1], power[3]);
  S factor[17] = {1};
  for (int k = 1; k < 17; k++) factor[k] = factor[k - 1] / k;
  for (long i = 0; i < N * N; i++) other[i] = factor[16] * power[3][i];
  for (int k = 12;; k -= 4) {
    for (long i = 0; i < N * N; i++) {
      sum[i] = other[i] + factor[k + 1] * power[0][i] + factor[k + 2] * power[1][i] + factor[k + 3] * power[2][i];
      if (i % (N + 1) == 0) sum[i] += factor[k];
    }
    if (k == 0) break;
    times(sum, power[3], other);
  }
  for (int k = 0; k < 128; k++) {
    auto more = halved > S(k);
    if (!any(more)) break;
    times(sum, sum, other);
    for (long i = 0; i < N * N; i++) sum[i] = more ? other[i] : sum[i];
  }
  for (long i = 0; i < N; i++)
    for (long j = 0; j < N; j++) out(i, j) = sum[i * N + j];
}

}  // namespace linalg
