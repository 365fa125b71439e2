#include "model.hpp"

#include <chrono>
#include <cmath>
#include <limits>
#include <ostream>

namespace weam {

namespace {

// A line "  NN %" every ten seconds, so that small inputs stay silent.
class Ticker {
 public:
  Ticker(std::ostream& log, std::size_t total) : log_(log), total_(total), last_(Clock::now()) {}
  void at(std::size_t done) {
    if (done % 1024 != 0 || Clock::now() - last_ < std::chrono::seconds(10)) return;
    last_ = Clock::now();
    log_ << "  " << 100 * done / total_ << " %" << std::endl;
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::ostream& log_;
  std::size_t total_;
  Clock::time_point last_;
};

}  // namespace

struct Model::Expectations {
  double log_likelihood = 0;
  double null_count = 0;  // expected number of target words that align to the empty word
  double feature = 0;     // expected sum of the diagonal feature
};

Model::Model(const Settings& settings, Table table) : settings_(settings), table_(std::move(table)) {}

double Model::joint(Words source, Words target, std::uint32_t j, std::vector<double>& joint,
                    std::vector<Table::Entry>& entries) const {
  const std::uint32_t n = source.size, m = target.size;
  const Word word = target[j - 1];
  const double p0 = settings_.null_probability;
  // Links must not depend on how the compiler arranges these few lines: equal source words at the same distance from
  // the diagonal are decided by the last bit.
  const double uniform = 1.0 / (n + (settings_.use_null ? 1.0 : 0.0));
  // 1 - p0 stays without the empty word, as in the reference program: a constant factor that moves only the likelihood.
  const double normaliser = settings_.favor_diagonal ? diagonal_sum(j, n, m, settings_.tension) / (1.0 - p0) : 0;
  joint[0] = 0;
  entries[0] = Table::kAbsent;
  if (settings_.use_null) {
    entries[0] = table_.find(kNull, word);
    joint[0] = table_.probability(entries[0]) * (settings_.favor_diagonal ? p0 : uniform);
  }
  double sum = joint[0];
  for (std::uint32_t i = 1; i <= n; ++i) {
    const double prior =
        settings_.favor_diagonal ? diagonal_weight(i, j, n, m, settings_.tension) / normaliser : uniform;
    entries[i] = table_.find(source[i - 1], word);
    joint[i] = table_.probability(entries[i]) * prior;
    sum += joint[i];
  }
  return sum;
}

Model::Expectations Model::expect(const Corpus& corpus, std::ostream& log) {
  Expectations result;
  std::vector<double> joint_i;
  std::vector<Table::Entry> entries;
  Ticker ticker(log, corpus.lines());
  for (std::size_t line = 0; line < corpus.lines(); ++line) {
    ticker.at(line);
    const Words source = corpus.source(line), target = corpus.target(line);
    const std::uint32_t n = source.size, m = target.size;
    joint_i.resize(n + std::size_t{1});
    entries.resize(n + std::size_t{1});
    for (std::uint32_t j = 1; j <= m; ++j) {
      const double sum = joint(source, target, j, joint_i, entries);
      if (!(sum > 0)) {  // without the Dirichlet prior probabilities can die out; such a word teaches nothing
        result.log_likelihood += std::log(std::numeric_limits<double>::min());
        continue;
      }
      result.log_likelihood += std::log(sum);
      if (settings_.use_null) {
        const double posterior = joint_i[0] / sum;
        result.null_count += posterior;
        table_.count(entries[0], posterior);
      }
      for (std::uint32_t i = 1; i <= n; ++i) {
        const double posterior = joint_i[i] / sum;
        table_.count(entries[i], posterior);
        // j - 1: the reference program counts target positions from 0 here, and from 1 elsewhere. Kept for parity.
        result.feature += diagonal_feature(i, j - 1, n, m) * posterior;
      }
    }
  }
  return result;
}

void Model::train(const Corpus& corpus, std::ostream& log) {
  LengthCounts lengths;
  for (std::size_t line = 0; line < corpus.lines(); ++line) {
    if (corpus.source(line).size > 0) ++lengths[{corpus.source(line).size, corpus.target(line).size}];
  }
  settings_.length_ratio = corpus.length_ratio();
  log << "expected target length = source length * " << to_text(settings_.length_ratio, 6) << '\n';
  if (corpus.pairs() == 0) return;
  const double target_words = static_cast<double>(corpus.target_words());
  for (unsigned iteration = 0; iteration + 1 < settings_.iterations; ++iteration) {
    log << "ITERATION " << iteration + 1 << std::endl;
    const Expectations found = expect(corpus, log);
    report_likelihood(found.log_likelihood, corpus.target_words(), log);
    const double feature = found.feature / target_words;
    log << "      posterior p0: " << to_text(found.null_count / target_words, 6)
        << "\n posterior al-feat: " << to_text(feature, 6) << "\n       size counts: " << lengths.size() << '\n';
    if (settings_.favor_diagonal && settings_.optimize_tension && iteration > 0) {
      settings_.tension = fit_tension(lengths, corpus.target_words(), feature, settings_.tension);
      log << "     final tension: " << to_text(settings_.tension, 6) << '\n';
    }
    if (settings_.variational_bayes) {
      table_.normalise_variational(settings_.alpha);
    } else {
      table_.normalise();
    }
  }
}

void Model::align(Words source, Words target, Alignment& alignment) const {
  std::vector<double> joint_i(source.size + std::size_t{1});
  std::vector<Table::Entry> entries(source.size + std::size_t{1});
  alignment.links.clear();
  alignment.log_likelihood = 0;
  for (std::uint32_t j = 1; j <= target.size; ++j) {
    const double sum = joint(source, target, j, joint_i, entries);
    std::uint32_t best = 0;
    double best_joint = settings_.use_null ? joint_i[0] : -1.0;
    for (std::uint32_t i = 1; i <= source.size; ++i) {
      if (joint_i[i] > best_joint) {
        best_joint = joint_i[i];
        best = i;
      }
    }
    alignment.links.push_back(best);
    alignment.log_likelihood += std::log(sum > 0 ? sum : std::numeric_limits<double>::min());
  }
  const double length = 0.05 + settings_.length_ratio * source.size;
  alignment.score =
      alignment.log_likelihood + target.size * std::log(length) - length - std::lgamma(target.size + 1.0);
}

std::string pharaoh(const Alignment& alignment, bool reversed) {
  std::string text;
  for (std::size_t j = 0; j < alignment.links.size(); ++j) {
    if (alignment.links[j] == 0) continue;
    const std::string i = std::to_string(alignment.links[j] - 1), k = std::to_string(j);
    if (!text.empty()) text += ' ';
    text += reversed ? k + '-' + i : i + '-' + k;
  }
  return text;
}

void report_likelihood(double log_likelihood, std::uint64_t target_words, std::ostream& log) {
  const double bits = log_likelihood / std::log(2.0), words = static_cast<double>(target_words);
  log << "  log_e likelihood: " << to_text(log_likelihood, 9) << "\n  log_2 likelihood: " << to_text(bits, 9)
      << "\n     cross entropy: " << to_text(-bits / words, 6)
      << "\n        perplexity: " << to_text(std::pow(2.0, -bits / words), 6) << '\n';
}

}  // namespace weam
