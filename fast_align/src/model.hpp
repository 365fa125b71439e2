// IBM Model 2 with a diagonal prior (Dyer, Chahuneau & Smith, NAACL 2013): expectation maximisation and Viterbi links.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

#include "corpus.hpp"
#include "diagonal.hpp"
#include "table.hpp"

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
};

struct Alignment {
  std::vector<std::uint32_t> links;  // for each target position the source position (1-based), or 0
  double log_likelihood = 0;         // sum over j of log sum over i of P(a_j = i) t(target_j | source_i)
  double score = 0;                  // the same, plus log Poisson(m; 0.05 + length_ratio n) for the target length
};

class Model {
 public:
  // Reports the progress of training to `log`.
  Model(const Settings& settings, Table table);

  void train(const Corpus& corpus, std::ostream& log);  // iterations - 1 times E-step and M-step
  // The most probable links. Ties: the empty word wins, then the lowest source position.
  void align(Words source, Words target, Alignment& alignment) const;

  const Settings& settings() const { return settings_; }  // with the tension and the length ratio after training
  const Table& table() const { return table_; }

 private:
  struct Expectations;  // what an E-step gathers beside the counts
  // Fills `joint` with P(a_j = i) t(target_j | source_i) and `entries` with their table entries, i = 0..n; returns the
  // sum. Position 0 has probability 0 without the empty word. `j` is 1-based.
  double joint(Words source, Words target, std::uint32_t j, std::vector<double>& joint,
               std::vector<Table::Entry>& entries) const;
  Expectations expect(const Corpus& corpus, std::ostream& log);

  Settings settings_;
  Table table_;
};

// "i-j i-j ..." in 0-based positions, the first side of the input line first. `reversed`: the model predicted the first
// side, and the links come in the order of the first side.
std::string pharaoh(const Alignment& alignment, bool reversed);

// What the reference program reports at the end of an iteration.
void report_likelihood(double log_likelihood, std::uint64_t target_words, std::ostream& log);

}  // namespace weam
