// IBM Model 2 with a diagonal prior (Dyer, Chahuneau & Smith, NAACL 2013), trained: the links of single pairs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "prior.hpp"
#include "rows.hpp"

namespace weam {

struct Alignment {
  std::vector<std::uint32_t> links;  // for each target position the source position (1-based), or 0
  double log_likelihood = 0;         // sum over j of log sum over i of P(a_j = i) t(target_j | source_i)
};

// What log(sum) counts as when all probabilities of a word have died out.
double log_of_sum(double sum);

// The score of a pair: its log-likelihood plus log Poisson(m; 0.05 + length_ratio n) for the target length.
double score(double log_likelihood, std::uint32_t n, std::uint32_t m, const Settings& settings);

template <typename Real>
struct Model {
  Settings settings;
  Rows<Real> rows;

  // The most probable link of target position j (1-based), by the plain formula in double precision: this is the rule;
  // faster ways must give the same. Ties: the empty word wins, then the lowest source position. Adds to `sum` the
  // probability of the target word.
  std::uint32_t link(Words source, Words target, std::uint32_t j, double& sum) const;
  Alignment align(Words source, Words target) const;
};

// "i-j i-j ..." in 0-based positions, the first side of the input line first. `reversed`: the model predicted the first
// side, and the links come in the order of the first side.
void append_pharaoh(const std::uint32_t* links, std::uint32_t size, bool reversed, std::string& text);

extern template struct Model<float>;
extern template struct Model<double>;

}  // namespace weam
