#include "model.hpp"

#include <math.h>

#include <charconv>
#include <cmath>
#include <limits>

namespace weam {

double log_of_sum(double sum) { return std::log(sum > 0 ? sum : std::numeric_limits<double>::min()); }

double score(double log_likelihood, std::uint32_t n, std::uint32_t m, const Settings& settings) {
  const double length = 0.05 + settings.length_ratio * n;
  int sign = 0;  // std::lgamma would write it to a variable that all threads share
  return log_likelihood + m * std::log(length) - length - lgamma_r(m + 1.0, &sign);
}

template <typename Real>
std::uint32_t Model<Real>::link(Words source, Words target, std::uint32_t j, double& sum) const {
  const std::uint32_t n = source.size, m = target.size;
  const Word word = target[j - 1];
  const bool diagonal = settings.favor_diagonal;
  // 1 - p0 stays without the empty word, as in the reference program: a constant factor that moves only the likelihood.
  const double normaliser = diagonal ? diagonal_sum(j, n, m, settings.tension) / (1.0 - settings.null_probability) : 0;
  const double uniform = 1.0 / (n + (settings.use_null ? 1.0 : 0.0));
  std::uint32_t best = 0;
  double best_joint = -1.0;
  if (settings.use_null) {
    best_joint = rows.find(kNull, word) * settings.null_prior(n);
    sum += best_joint;
  }
  for (std::uint32_t i = 1; i <= n; ++i) {
    const double prior = diagonal ? diagonal_weight(i, j, n, m, settings.tension) / normaliser : uniform;
    const double joint = rows.find(source[i - 1], word) * prior;
    sum += joint;
    if (joint > best_joint) {
      best_joint = joint;
      best = i;
    }
  }
  return best;
}

template <typename Real>
Alignment Model<Real>::align(Words source, Words target) const {
  Alignment alignment;
  for (std::uint32_t j = 1; j <= target.size; ++j) {
    double sum = 0;
    alignment.links.push_back(link(source, target, j, sum));
    alignment.log_likelihood += log_of_sum(sum) - kLogScale;
  }
  return alignment;
}

void append_pharaoh(const std::uint32_t* links, std::uint32_t size, bool reversed, std::string& text) {
  char buffer[32];
  bool first = true;
  for (std::uint32_t j = 0; j < size; ++j) {
    if (links[j] == 0) continue;
    if (!first) text += ' ';
    first = false;
    const std::uint32_t i = links[j] - 1;
    char* end = std::to_chars(buffer, buffer + 12, reversed ? j : i).ptr;
    *end++ = '-';
    end = std::to_chars(end, buffer + sizeof buffer, reversed ? i : j).ptr;
    text.append(buffer, end);
  }
}

template struct Model<float>;
template struct Model<double>;

}  // namespace weam
