// Where a target word prefers to be linked, prepared for all lines of a text.
#pragma once

#include <cstdint>
#include <vector>

#include "corpus.hpp"
#include "diagonal.hpp"
#include "kernels.hpp"

namespace weam {

struct Settings {
  unsigned iterations = 5;         // EM iterations; the last one only aligns
  bool favor_diagonal = false;     // diagonal prior instead of a uniform one
  bool optimize_tension = false;   // fit the tension between iterations
  bool variational_bayes = false;  // Dirichlet prior on translation probabilities
  double alpha = 0.01;             // its concentration
  bool use_null = true;            // source position 0, the empty word
  double null_probability = 0.08;  // p0, the prior of position 0
  double tension = 4.0;            // T, at the start
  double length_ratio = 1.0;       // expected target length / source length; only for scores

  // The prior of the empty word for a source side of n words.
  double null_prior(std::uint32_t n) const {
    return !use_null ? 0.0 : favor_diagonal ? null_probability : 1.0 / (n + 1.0);
  }
};

// The lengths of the lines, and how often each pair of lengths occurs.
class Shapes {
 public:
  struct Shape {
    std::uint32_t n, m;       // words on the source and on the target side; never 0
    std::uint64_t lines;      // with these lengths
    std::uint64_t first;      // sum of m over the shapes before this one
  };
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  Shapes(const Side& source, const Side& target);
  const std::vector<Shape>& shapes() const { return shapes_; }
  std::uint32_t of_line(std::size_t line) const { return of_line_[line]; }  // kNone: a line without words
  std::uint64_t positions() const { return positions_; }                    // sum of m over the shapes
  LengthCounts counts() const;
  double length_ratio() const;  // mean of target length / source length; 1 if there is no pair

 private:
  std::vector<Shape> shapes_;
  std::vector<std::uint32_t> of_line_;
  std::uint64_t positions_ = 0;
};

template <typename Real>
class Prior {
 public:
  explicit Prior(const Shapes& shapes);
  // To be called whenever the tension has changed.
  void prepare(const Shapes& shapes, const Settings& settings);

  // The weights of source position i (0-based) of n for the positions of a target side of m words.
  Diagonal<Real> diagonal(std::uint32_t i, std::uint32_t n, std::uint32_t m) const {
    const Real* both = source_.data() + source_start_[n] + 3 * std::uint64_t{i};
    const Real* rising = target_.data() + target_start_[m];
    return {both[0], both[1], rising, rising + m};
  }
  Real place(std::uint32_t i, std::uint32_t n) const {  // (i + 1) / n
    return source_[source_start_[n] + 3 * std::uint64_t{i} + 2];
  }
  // (j - 1) / m for j = 1..m. The reference program counts target positions from 0 here, and from 1 elsewhere.
  const Real* places(std::uint32_t m) const { return target_.data() + target_start_[m] + 2 * std::uint64_t{m}; }
  // What the weight of (i, j) is multiplied with to make it a probability, by j.
  const Real* scale(const Shapes::Shape& shape) const { return scale_.data() + shape.first; }

 private:
  std::vector<std::uint64_t> source_start_, target_start_;  // by length
  std::vector<Real> source_;                                // up, down, place of each position
  std::vector<Real> target_;                                // rising, falling, place: m of each
  std::vector<Real> scale_;
};

extern template class Prior<float>;
extern template class Prior<double>;

}  // namespace weam
