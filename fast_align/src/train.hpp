// Expectation maximisation over a whole text, one source word after the other.
//
// The probability of a target word is a sum over the source words of its line. Instead of looking up each pair of words,
// a pass takes one source word at a time, spreads its row of the table over an array by target word, and visits the lines
// in which it occurs. Two passes make an iteration:
//   1. every target position gathers its sum; threads own lines;
//   2. every source word gathers its expected counts and renews its row; threads own source words.
// Nothing is shared for writing and every sum has a fixed order: the result is the same for any number of threads.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <utility>
#include <vector>

#include "model.hpp"
#include "progress.hpp"

namespace weam {

// Bytes that training needs beside the corpus, estimated from a sample of the words; `real`: bytes of a probability.
std::uint64_t estimate_bytes(const Side& source, const Side& target, std::size_t real, unsigned threads);

template <typename Real>
class Trainer {
 public:
  Trainer(const Side& source, const Side& target, const Settings& settings, unsigned threads, Progress& progress);

  void train();  // iterations - 1 times E-step and M-step; reports to the log of `progress`
  // The links of all lines, one behind the other as in target.words: source position (1-based) or 0. `scores`, if not
  // null, gets the score of each line.
  std::vector<std::uint32_t> link(std::vector<double>* scores);
  const Model<Real>& model() const { return model_; }
  Model<Real> take_model() && { return std::move(model_); }
  std::size_t bytes() const;

 private:
  struct Line {
    std::uint64_t first;  // of its words in target.words
    std::uint32_t n, m;
  };
  struct Expectations {
    double log_likelihood = 0, null_count = 0;
  };
  void gather(bool keep_best);
  Expectations expect();
  double renew(bool with_feature);
  void fetch_ahead(const Postings::Place* place, const Postings::Place* last) const;
  void null_row(std::vector<Real>& probabilities) const;
  void report(double log_likelihood) const;
  template <typename Visit>
  void for_each_line_block(Visit visit) const;

  const Side& source_;
  const Side& target_;
  unsigned threads_;
  Progress& progress_;
  Shapes shapes_;
  Postings postings_;
  Model<Real> model_;
  Prior<Real> prior_;
  std::vector<Line> lines_;
  std::vector<std::size_t> bounds_;   // of the lines of each thread
  std::vector<Real> sums_;            // per target position: the sum, then what its posteriors are multiplied with
  std::vector<Real> best_;            // only for the links
  std::vector<std::uint32_t> links_;  // only for the links
  bool uniform_ = true;               // all translation probabilities are equal: before the first M-step
};

extern template class Trainer<float>;
extern template class Trainer<double>;

}  // namespace weam
