// The diagonal prior of Dyer, Chahuneau & Smith (NAACL 2013), section 2: a target position j of m prefers source position i
// of n in proportion to exp(-T |i/n - j/m|). Positions are 1-based; T is the tension.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <utility>

namespace weam {

// -|i/n - j/m|, the feature whose weight is the tension. Positions are doubles: see diagonal_expectation.
inline double diagonal_feature(double i, double j, std::uint32_t n, std::uint32_t m) {
  return -std::fabs(i / n - j / m);
}

inline double diagonal_weight(double i, double j, std::uint32_t n, std::uint32_t m, double tension) {
  return std::exp(diagonal_feature(i, j, n, m) * tension);
}

// Z_j, the sum of the weights over i = 1..n, in closed form: two geometric series that start on either side of the
// diagonal.
double diagonal_sum(std::uint32_t j, std::uint32_t n, std::uint32_t m, double tension);

// The expected feature d log Z_j / d T (Dyer et al., section 2), in closed form. For parity with the reference program the
// normaliser is diagonal_sum with n and m swapped, where j may lie beyond the end and the series to its right then never
// ends. It hardly changes the links, but it changes T.
double diagonal_expectation(std::uint32_t j, std::uint32_t n, std::uint32_t m, double tension);

// How many pairs have each (source length, target length).
using LengthCounts = std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t>;

// The mean of diagonal_expectation over all target words.
double mean_expectation(const LengthCounts& lengths, std::uint64_t target_words, double tension);

inline constexpr double kMinTension = 0.1, kMaxTension = 14.0;

// Eight gradient steps T += 20 (empirical - expected feature), kept within the two limits.
double fit_tension(const LengthCounts& lengths, std::uint64_t target_words, double empirical, double tension);

}  // namespace weam
