#include "diagonal.hpp"

#include <algorithm>
#include <limits>

namespace weam {

namespace {

// The number of source positions up to the diagonal at target position j. With n and m swapped it may be far beyond n, and
// beyond what a position can be.
double positions_left(std::uint32_t j, std::uint32_t n, std::uint32_t m) {
  return std::floor(static_cast<double>(j) * n / m);
}

// sum over k = 0..terms-1 of ratio^k
double geometric(double ratio, double terms) { return (1.0 - std::pow(ratio, terms)) / (1.0 - ratio); }

// sum over k = 0..terms-1 of (first + k step) ratio^k
double arithmetico_geometric(double first, double step, double ratio, double terms) {
  const double power = std::pow(ratio, terms);
  const double one_less = 1.0 - ratio;
  return (first - (first + (terms - 1.0) * step) * power) / one_less +
         step * ratio * (1.0 - power / ratio) / (one_less * one_less);
}

}  // namespace

double diagonal_sum(std::uint32_t j, std::uint32_t n, std::uint32_t m, double tension) {
  const double left = positions_left(j, n, m);
  const double ratio = std::exp(-tension / n);
  const double right = left <= n ? n - left : std::numeric_limits<double>::infinity();
  double sum = 0;
  if (right > 0) sum += diagonal_weight(left + 1, j, n, m, tension) * geometric(ratio, right);
  if (left > 0) sum += diagonal_weight(left, j, n, m, tension) * geometric(ratio, left);
  return sum;
}

double diagonal_expectation(std::uint32_t j, std::uint32_t n, std::uint32_t m, double tension) {
  const double left = positions_left(j, n, m);
  const double ratio = std::exp(-tension / n);
  const double step = -1.0 / n;
  double sum = 0;
  if (left < n) {
    sum += diagonal_weight(left + 1, j, n, m, tension) *
           arithmetico_geometric(diagonal_feature(left + 1, j, n, m), step, ratio, n - left);
  }
  if (left > 0) {
    sum += diagonal_weight(left, j, n, m, tension) *
           arithmetico_geometric(diagonal_feature(left, j, n, m), step, ratio, left);
  }
  return sum / diagonal_sum(j, m, n, tension);
}

double mean_expectation(const LengthCounts& lengths, std::uint64_t target_words, double tension) {
  double sum = 0;
  for (const auto& [length, pairs] : lengths) {
    for (std::uint32_t j = 1; j <= length.second; ++j) {
      sum += static_cast<double>(pairs) * diagonal_expectation(j, length.first, length.second, tension);
    }
  }
  return sum / static_cast<double>(target_words);
}

double fit_tension(const LengthCounts& lengths, std::uint64_t target_words, double empirical, double tension) {
  for (int step = 0; step < 8; ++step) {
    tension += 20.0 * (empirical - mean_expectation(lengths, target_words, tension));
    tension = std::clamp(tension, kMinTension, kMaxTension);
  }
  return tension;
}

}  // namespace weam
