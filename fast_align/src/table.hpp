// The translation table t(target word | source word) and its expected counts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "corpus.hpp"

namespace weam {

// Probability of a pair of words that is not in the table, and of every pair before the first M-step.
inline constexpr double kUnseen = 1e-9;

// One row per source word, with the target words that occur together with it in some pair, in ascending order; the row of
// kNull has every target word. 20 bytes per entry while training, 12 when loaded.
class Table {
 public:
  using Entry = std::uint64_t;
  static constexpr Entry kAbsent = ~Entry{0};

  // All entries that the corpus supports, with probability kUnseen. `with_null`: with a row for kNull.
  Table(const Corpus& corpus, bool with_null);
  // A table written by save(); its words are added to `words`.
  Table(const std::string& path, Dictionary& words);

  Entry find(Word source, Word target) const;
  double probability(Entry entry) const { return entry == kAbsent ? kUnseen : probabilities_[entry]; }
  void count(Entry entry, double amount) { counts_[entry] += amount; }
  std::size_t size() const { return targets_.size(); }

  // M-step: relative frequencies of the counts, which are then set to zero.
  void normalise();
  // M-step with a symmetric Dirichlet prior (variational Bayes): exp(digamma(c + alpha) - digamma(sum(c + alpha))).
  void normalise_variational(double alpha);

  // Lines "source target log-probability", rows in the order of the dictionary. Entries whose log-probability lies more
  // than -`beam` below the best of their row are left out.
  void save(const std::string& path, const Dictionary& words, double beam) const;

 private:
  template <typename Update>  // Update(first entry, one past the last entry)
  void for_each_row(Update update) const;
  std::vector<Entry> row_start_;  // by source word; one more than rows
  std::vector<Word> targets_;
  std::vector<double> probabilities_, counts_;
};

// The logarithmic derivative of the gamma function for x > 0; relative error below 1e-12.
double digamma(double x);

}  // namespace weam
