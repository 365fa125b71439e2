// The innermost loops. Each exists in several versions for the vector instructions of different processors; all of them
// do the same operations in the same order, so the results are the same to the last bit.
#pragma once

#include <cstdint>

#include "corpus.hpp"

namespace weam {

// exp(-T |i/n - j/m|) for one i and all j: the smaller of up * rising[j] and down * falling[j], where up = e^(-T i/n),
// rising[j] = e^(T j/m), down = 1 / up, falling[j] = 1 / rising[j].
template <typename Real>
struct Diagonal {
  Real up, down;
  const Real* rising;
  const Real* falling;
};

// The words of a line (m of them), and a probability for every word of the target side.
template <typename Real>
struct Column {
  const Word* words;
  std::uint32_t m;
  const Real* probability;
};

// sums[j] += probability of word j * weight of position j.
void add_line(const Column<float>& column, const Diagonal<float>& diagonal, float* sums);
void add_line(const Column<double>& column, const Diagonal<double>& diagonal, double* sums);

// Marks target words for which another choice may be as good as `best`.
inline constexpr std::uint32_t kNear = 0x80000000u;

// The same, and keeps the best product of each j in best[j] and its source position (1-based) in from[j], with kNear if a
// product within rounding of it was met.
void add_line_keep_best(const Column<float>& column, const Diagonal<float>& diagonal, std::uint32_t position, float* sums,
                        float* best, std::uint32_t* from);
void add_line_keep_best(const Column<double>& column, const Diagonal<double>& diagonal, std::uint32_t position,
                        double* sums, double* best, std::uint32_t* from);

// What one line adds to the expected counts: counts[j] = weights[j] * diagonal at j, features[j] = that times |x - y[j]|.
void weigh_line(const Diagonal<float>& diagonal, const float* weights, std::uint32_t m, float x, const float* y,
                float* counts, float* features);
void weigh_line(const Diagonal<double>& diagonal, const double* weights, std::uint32_t m, double x, const double* y,
                double* counts, double* features);

// values[k] = scale * exp(digamma(values[k] + alpha) - log_total), at least scale * e^-700; values + alpha > 0.
void variational_row(double* values, std::uint32_t size, double alpha, double log_total, double scale);

}  // namespace weam
