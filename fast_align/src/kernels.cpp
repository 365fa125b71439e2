#include "kernels.hpp"

#include <cstring>

// GCC compiles the functions below once for each of these processors and picks one when the program starts. The sanitizers
// are not ready yet at that time.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__gnu_linux__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WEAM_VERSIONS __attribute__((target_clones("default", "avx2", "avx512f")))
#define WEAM_INLINE inline __attribute__((always_inline))
#else
#define WEAM_VERSIONS
#define WEAM_INLINE inline
#endif
#if defined(__GNUC__)
#define WEAM_RESTRICT __restrict__
#else
#define WEAM_RESTRICT
#endif

namespace weam {

namespace {

template <typename Real>
WEAM_INLINE void add(const Column<Real>& column, const Diagonal<Real>& diagonal, Real* WEAM_RESTRICT sums) {
  const Real up = diagonal.up, down = diagonal.down;
  const Real* WEAM_RESTRICT rising = diagonal.rising;
  const Real* WEAM_RESTRICT falling = diagonal.falling;
  const Real* WEAM_RESTRICT probability = column.probability;
  // Signed: processors gather with signed 32-bit positions (kMostWords).
  const std::int32_t* WEAM_RESTRICT words = reinterpret_cast<const std::int32_t*>(column.words);
  const std::uint32_t m = column.m;
  for (std::uint32_t j = 0; j < m; ++j) {
    const Real left = up * rising[j], right = down * falling[j];
    sums[j] += probability[words[j]] * (left < right ? left : right);
  }
}

template <typename Real>
WEAM_INLINE void add_keep_best(const Column<Real>& column, const Diagonal<Real>& diagonal, std::uint32_t position,
                               Real* WEAM_RESTRICT sums, Real* WEAM_RESTRICT best, std::uint32_t* WEAM_RESTRICT from) {
  // Far wider than the rounding of the products, far narrower than differences that mean something.
  constexpr Real kAbove = sizeof(Real) == 4 ? Real(1.00001) : Real(1.00000000001);
  constexpr Real kBelow = sizeof(Real) == 4 ? Real(0.99999) : Real(0.99999999999);
  const Real up = diagonal.up, down = diagonal.down;
  const Real* WEAM_RESTRICT rising = diagonal.rising;
  const Real* WEAM_RESTRICT falling = diagonal.falling;
  const Real* WEAM_RESTRICT probability = column.probability;
  const std::int32_t* WEAM_RESTRICT words = reinterpret_cast<const std::int32_t*>(column.words);
  const std::uint32_t m = column.m;
  for (std::uint32_t j = 0; j < m; ++j) {
    const Real left = up * rising[j], right = down * falling[j];
    const Real product = probability[words[j]] * (left < right ? left : right);
    const Real before = best[j];
    const std::uint32_t other = product >= before * kBelow ? from[j] | kNear : from[j];
    sums[j] += product;
    from[j] = product > before * kAbove ? position : other;
    best[j] = product > before ? product : before;
  }
}

template <typename Real>
WEAM_INLINE void weigh(const Diagonal<Real>& diagonal, const Real* WEAM_RESTRICT weights, std::uint32_t m, Real x,
                       const Real* WEAM_RESTRICT y, Real* WEAM_RESTRICT counts, Real* WEAM_RESTRICT features) {
  const Real up = diagonal.up, down = diagonal.down;
  const Real* WEAM_RESTRICT rising = diagonal.rising;
  const Real* WEAM_RESTRICT falling = diagonal.falling;
  for (std::uint32_t j = 0; j < m; ++j) {
    const Real left = up * rising[j], right = down * falling[j];
    const Real value = weights[j] * (left < right ? left : right);
    const Real distance = x - y[j];
    counts[j] = value;
    features[j] = value * (distance < 0 ? -distance : distance);
  }
}

// e^z for z <= 700; e^-700 below -700. Relative error below 1e-14.
WEAM_INLINE double exponential(double z) {
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to a whole number in the low bits
  const double low = z < -700.0 ? -700.0 : z;
  const double shifted = low * 1.4426950408889634074 + kRound;
  const double whole = shifted - kRound;
  const double r = (low - whole * 6.93145751953125e-1) - whole * 1.42860682030941723212e-6;
  double sum = 1.0 / 6227020800.0;
  sum = sum * r + 1.0 / 479001600.0;
  sum = sum * r + 1.0 / 39916800.0;
  sum = sum * r + 1.0 / 3628800.0;
  sum = sum * r + 1.0 / 362880.0;
  sum = sum * r + 1.0 / 40320.0;
  sum = sum * r + 1.0 / 5040.0;
  sum = sum * r + 1.0 / 720.0;
  sum = sum * r + 1.0 / 120.0;
  sum = sum * r + 1.0 / 24.0;
  sum = sum * r + 1.0 / 6.0;
  sum = sum * r + 0.5;
  sum = sum * r + 1.0;
  sum = sum * r + 1.0;
  std::uint64_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 1023) << 52;  // the whole number as an exponent
  double power;
  std::memcpy(&power, &bits, sizeof power);
  return sum * power;
}

}  // namespace

WEAM_VERSIONS void add_line(const Column<float>& column, const Diagonal<float>& diagonal, float* sums) {
  add(column, diagonal, sums);
}
WEAM_VERSIONS void add_line(const Column<double>& column, const Diagonal<double>& diagonal, double* sums) {
  add(column, diagonal, sums);
}
WEAM_VERSIONS void add_line_keep_best(const Column<float>& column, const Diagonal<float>& diagonal,
                                      std::uint32_t position, float* sums, float* best, std::uint32_t* from) {
  add_keep_best(column, diagonal, position, sums, best, from);
}
WEAM_VERSIONS void add_line_keep_best(const Column<double>& column, const Diagonal<double>& diagonal,
                                      std::uint32_t position, double* sums, double* best, std::uint32_t* from) {
  add_keep_best(column, diagonal, position, sums, best, from);
}

WEAM_VERSIONS void weigh_line(const Diagonal<float>& diagonal, const float* weights, std::uint32_t m, float x,
                              const float* y, float* counts, float* features) {
  weigh(diagonal, weights, m, x, y, counts, features);
}
WEAM_VERSIONS void weigh_line(const Diagonal<double>& diagonal, const double* weights, std::uint32_t m, double x,
                              const double* y, double* counts, double* features) {
  weigh(diagonal, weights, m, x, y, counts, features);
}

WEAM_VERSIONS void variational_row(double* values, std::uint32_t size, double alpha, double log_total, double scale) {
  // With y = x + 6, exp(digamma(x)) = y exp(-1/(2y) - 1/(12y^2) + ... - (1/x + 1/(x+1) + ... + 1/(x+5))): recurrence and
  // asymptotic series (Abramowitz & Stegun 6.3.5, 6.3.18) without a logarithm. The six reciprocals, paired from both
  // ends, have the common denominator q (q+4) (q+6) with q = x^2 + 5x.
  for (std::uint32_t k = 0; k < size; ++k) {
    const double x = values[k] + alpha;
    const double y = x + 6.0;
    const double q = x * (x + 5.0);
    const double reciprocals = (2.0 * x + 5.0) * ((3.0 * q + 20.0) * q + 24.0) / (q * (q + 4.0) * (q + 6.0));
    const double inverse = 1.0 / y;
    const double z = inverse * inverse;
    double series = 1.0 / 12.0;
    series = 691.0 / 32760.0 - z * series;
    series = 1.0 / 132.0 - z * series;
    series = 1.0 / 240.0 - z * series;
    series = 1.0 / 252.0 - z * series;
    series = 1.0 / 120.0 - z * series;
    series = 1.0 / 12.0 - z * series;
    const double value = exponential(-0.5 * inverse - z * series - reciprocals - log_total);
    values[k] = scale * (y * value);
  }
}

}  // namespace weam
