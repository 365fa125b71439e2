#include "train.hpp"

#include <algorithm>
#include <cmath>

#include "parallel.hpp"

namespace weam {

namespace {

constexpr std::size_t kBlock = 4096;       // lines of one task
constexpr std::ptrdiff_t kAhead = 6;       // postings that are fetched early
constexpr double kLow = 1e-100, kHigh = 1e100;

inline void prefetch(const void* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address);
#else
  (void)address;
#endif
}

// Sum of logarithms; takes one logarithm for many factors.
class LogProduct {
 public:
  void multiply(double factor) {
    product_ *= factor;
    if (product_ < kLow || product_ > kHigh) take();
  }
  double log() {
    take();
    return log_;
  }

 private:
  void take() {
    log_ += std::log(product_);
    product_ = 1;
  }
  double product_ = 1, log_ = 0;
};

double digamma(double x) {
  // Recurrence up to x >= 8, then the asymptotic series (Abramowitz & Stegun 6.3.5, 6.3.18); relative error below 1e-12.
  double shift = 0;
  for (; x < 8; ++x) shift -= 1 / x;
  const double y = 1 / (x * x);
  const double series =
      y * (1.0 / 12 - y * (1.0 / 120 - y * (1.0 / 252 - y * (1.0 / 240 - y * (1.0 / 132 - y * 691.0 / 32760)))));
  return shift + std::log(x) - 0.5 / x - series;
}

}  // namespace

template <typename Real>
Trainer<Real>::Trainer(const Side& source, const Side& target, const Settings& settings, unsigned threads,
                       Progress& progress)
    : source_(source), target_(target), threads_(threads), progress_(progress), shapes_(source, target),
      postings_(source), prior_(shapes_) {
  const std::size_t lines = source.start.size() - 1;
  lines_.reserve(lines);
  std::vector<double> cost{0};
  for (std::size_t k = 0; k < lines; ++k) {
    lines_.push_back({target.start[k], source.line(k).size, target.line(k).size});
    cost.push_back(cost.back() + 8.0 * lines_[k].n + static_cast<double>(lines_[k].n) * lines_[k].m);
  }
  for (unsigned thread = 0; thread <= threads; ++thread) {
    const auto bound = std::lower_bound(cost.begin(), cost.end(), cost.back() * thread / threads);
    bounds_.push_back(thread == threads ? lines : static_cast<std::size_t>(bound - cost.begin()));
  }
  model_.settings = settings;
  model_.settings.length_ratio = shapes_.length_ratio();
  model_.rows = Rows<Real>(postings_, target, settings.use_null, threads);
  sums_.resize(target.words.size());
  prior_.prepare(shapes_, settings);
}

template <typename Real>
std::size_t Trainer<Real>::bytes() const {
  return model_.rows.bytes() + postings_.places.capacity() * sizeof(Postings::Place) + postings_.start.capacity() * 8 +
         lines_.capacity() * (sizeof(Line) + sizeof(std::uint32_t)) + sums_.capacity() * (2 * sizeof(Real) + 4);
}

template <typename Real>
template <typename Visit>
void Trainer<Real>::for_each_line_block(Visit visit) const {
  for_each_task(threads_, (lines_.size() + kBlock - 1) / kBlock, [&](unsigned, std::size_t block) {
    visit(block, block * kBlock, std::min((block + 1) * kBlock, lines_.size()));
  });
}

template <typename Real>
void Trainer<Real>::fetch_ahead(const Postings::Place* place, const Postings::Place* last) const {
  if (last - place > 2 * kAhead) prefetch(&lines_[place[2 * kAhead].line]);
  if (last - place <= kAhead) return;
  const Line& later = lines_[place[kAhead].line];
  for (std::uint64_t j = 0; j < later.m && j < 64; j += 16) {
    prefetch(target_.words.data() + later.first + j);
    prefetch(sums_.data() + later.first + j);
  }
}

template <typename Real>
void Trainer<Real>::null_row(std::vector<Real>& probabilities) const {
  probabilities.assign(target_.dictionary.size(), 0);
  if (!model_.settings.use_null) return;
  const auto row = model_.rows.row(kNull);
  for_each_target(row.bytes, row.size, [&](std::uint32_t k, Word word) { probabilities[word] = row.probabilities[k]; });
}

template <typename Real>
void Trainer<Real>::gather(bool keep_best) {
  std::fill(sums_.begin(), sums_.end(), Real(0));
  const std::size_t words = source_.dictionary.size();
  in_threads(threads_, [&](unsigned thread) {
    const std::uint32_t begin = static_cast<std::uint32_t>(bounds_[thread]);
    const std::uint32_t end = static_cast<std::uint32_t>(bounds_[thread + 1]);
    std::vector<Real> probability(target_.dictionary.size());
    std::uint64_t visited = 0;
    const auto before = [](const Postings::Place& place, std::uint64_t line) { return place.line < line; };
    for (Word word = 0; word < words; ++word) {
      const Postings::Place* first = postings_.places.data() + postings_.start[word];
      const Postings::Place* last = postings_.places.data() + postings_.start[word + 1];
      if (threads_ > 1) {
        first = std::lower_bound(first, last, begin, before);
        last = std::lower_bound(first, last, end, before);
      }
      if (first == last) continue;
      const auto row = model_.rows.row(word);
      for_each_target(row.bytes, row.size, [&](std::uint32_t k, Word target) { probability[target] = row.probabilities[k]; });
      for (const Postings::Place* place = first; place < last; ++place) {
        fetch_ahead(place, last);
        const Line& line = lines_[place->line];
        const Column<Real> column{target_.words.data() + line.first, line.m, probability.data()};
        const auto diagonal = prior_.diagonal(place->position, line.n, line.m);
        if (keep_best) {
          add_line_keep_best(column, diagonal, place->position + 1, sums_.data() + line.first,
                             best_.data() + line.first, links_.data() + line.first);
        } else {
          add_line(column, diagonal, sums_.data() + line.first);
        }
      }
      visited += static_cast<std::uint64_t>(last - first);
      if (visited > 20000 || word + 1 == words) {
        progress_.add(visited, thread);
        visited = 0;
      }
    }
  });
}

template <typename Real>
typename Trainer<Real>::Expectations Trainer<Real>::expect() {
  std::vector<Real> null;
  null_row(null);
  std::vector<Expectations> parts((lines_.size() + kBlock - 1) / kBlock);
  for_each_line_block([&](std::size_t block, std::size_t first, std::size_t last) {
    LogProduct product;
    double null_count = 0;
    for (std::size_t k = first; k < last; ++k) {
      if (lines_[k].n == 0) continue;
      const Line& line = lines_[k];
      const Shapes::Shape& shape = shapes_.shapes()[shapes_.of_line(k)];
      const Real* scale = prior_.scale(shape);
      const Real null_prior = static_cast<Real>(model_.settings.null_prior(line.n));
      const double mass = model_.settings.favor_diagonal ? 1 - model_.settings.null_probability
                                                         : static_cast<double>(line.n) * static_cast<double>(scale[0]);
      Real* sums = sums_.data() + line.first;
      const Word* words = target_.words.data() + line.first;
      for (std::uint32_t j = 0; j < line.m; ++j) {
        const Real from_null = null_prior * null[words[j]];
        // While all probabilities are equal, the sum needs no visit: the prior sums to `mass`.
        const Real from_words = uniform_ ? static_cast<Real>(mass * kUnseen * kScale) : scale[j] * sums[j];
        const Real sum = from_null + from_words;
        if (!(sum > 0)) {  // without the Dirichlet prior probabilities can die out; such a word teaches nothing
          product.multiply(std::exp(log_of_sum(0)));
          sums[j] = 0;
          continue;
        }
        product.multiply(static_cast<double>(sum));
        null_count += static_cast<double>(from_null / sum);
        sums[j] = scale[j] / sum;
      }
    }
    parts[block] = {product.log(), null_count};
  });
  Expectations all;
  for (const Expectations& part : parts) {
    all.log_likelihood += part.log_likelihood;
    all.null_count += part.null_count;
  }
  all.log_likelihood -= kLogScale * static_cast<double>(target_.words.size());
  if (!std::isfinite(all.log_likelihood)) throw UserError("the probabilities are no numbers any more; try --double");
  return all;
}

template <typename Real>
double Trainer<Real>::renew(bool with_feature) {
  struct Cell {
    double count, feature;
  };
  const Settings& settings = model_.settings;
  const std::vector<Word>& chunks = model_.rows.first_rows();
  std::vector<double> features(source_.dictionary.size(), 0);
  std::uint32_t most_m = 0;
  for (const Shapes::Shape& shape : shapes_.shapes()) most_m = std::max(most_m, shape.m);
  struct Scratch {
    std::vector<Cell> cells;
    std::vector<Real> counts, features;  // of one line
    std::vector<double> values;          // of one row
  };
  std::vector<Scratch> scratch(threads_);

  for_each_task(threads_, chunks.size() - 1, [&](unsigned thread, std::size_t chunk) {
    auto& [cells, counts, line_features, values] = scratch[thread];
    cells.resize(target_.dictionary.size());  // zero between rows
    counts.resize(most_m);
    line_features.resize(most_m);
    std::uint64_t visited = 0;
    for (Word word = chunks[chunk]; word < chunks[chunk + 1]; ++word) {
      const auto row = model_.rows.row(word);
      if (row.size == 0) continue;
      if (word == kNull && settings.use_null) {
        for (std::size_t k = 0; k < lines_.size(); ++k) {
          if (lines_[k].n == 0) continue;
          const Real* scale = prior_.scale(shapes_.shapes()[shapes_.of_line(k)]);
          const double null_prior = settings.null_prior(lines_[k].n);
          const Word* words = target_.words.data() + lines_[k].first;
          const Real* weights = sums_.data() + lines_[k].first;
          for (std::uint32_t j = 0; j < lines_[k].m; ++j) {
            cells[words[j]].count += null_prior * static_cast<double>(weights[j]) / static_cast<double>(scale[j]);
          }
        }
      }
      const Postings::Place* first = postings_.places.data() + postings_.start[word];
      const Postings::Place* last = postings_.places.data() + postings_.start[word + 1];
      for (const Postings::Place* place = first; place < last; ++place) {
        fetch_ahead(place, last);
        const Line& line = lines_[place->line];
        weigh_line(prior_.diagonal(place->position, line.n, line.m), sums_.data() + line.first, line.m,
                   prior_.place(place->position, line.n), prior_.places(line.m), counts.data(),
                   line_features.data());
        const Word* words = target_.words.data() + line.first;
        for (std::uint32_t j = 0; j < line.m; ++j) {
          Cell& cell = cells[words[j]];
          cell.count += static_cast<double>(counts[j]);
          cell.feature += static_cast<double>(line_features[j]);
        }
      }
      visited += postings_.start[word + 1] - postings_.start[word];

      values.resize(row.size);
      double total = 0, feature = 0;
      for_each_target(row.bytes, row.size, [&](std::uint32_t k, Word target) {
        const double probability = static_cast<double>(row.probabilities[k]);
        Cell& cell = cells[target];
        values[k] = probability * cell.count;
        total += values[k];
        feature += probability * cell.feature;
        cell = {0, 0};
      });
      features[word] = feature;
      Real* probabilities = model_.rows.probabilities(word);
      if (settings.variational_bayes) {
        variational_row(values.data(), row.size, settings.alpha, digamma(total + settings.alpha * row.size), kScale);
      } else {
        const double factor = total > 0 ? kScale / total : 0;
        for (double& value : values) value *= factor;
      }
      for (std::uint32_t k = 0; k < row.size; ++k) probabilities[k] = static_cast<Real>(values[k]);
    }
    progress_.add(visited, thread);
  });
  if (!with_feature) return 0;
  double feature = 0;
  for (const double part : features) feature -= part;
  return feature;
}

template <typename Real>
void Trainer<Real>::report(double log_likelihood) const {
  const double bits = log_likelihood / std::log(2.0), words = static_cast<double>(target_.words.size());
  progress_.log() << "  log_e likelihood: " << to_text(log_likelihood, 12) << "\n  log_2 likelihood: " << to_text(bits, 12)
                  << "\n     cross entropy: " << to_text(-bits / words, 6)
                  << "\n        perplexity: " << to_text(std::pow(2.0, -bits / words), 6) << '\n';
}

template <typename Real>
void Trainer<Real>::train() {
  Settings& settings = model_.settings;
  progress_.log() << "expected target length = source length * " << to_text(settings.length_ratio, 6) << '\n';
  if (target_.words.empty()) return;
  const double target_words = static_cast<double>(target_.words.size());
  const LengthCounts lengths = shapes_.counts();
  for (unsigned iteration = 0; iteration + 1 < settings.iterations; ++iteration) {
    progress_.log() << "ITERATION " << iteration + 1 << std::endl;
    const std::uint64_t passes = iteration == 0 ? 1 : 2;
    progress_.start("iteration " + std::to_string(iteration + 1) + " of " + std::to_string(settings.iterations),
                    "words", passes * source_.words.size());
    if (iteration > 0) gather(false);
    const Expectations found = expect();
    const bool fit = settings.favor_diagonal && settings.optimize_tension && iteration > 0;
    const double feature = renew(fit) / target_words;
    uniform_ = false;
    report(found.log_likelihood);
    progress_.log() << "      posterior p0: " << to_text(found.null_count / target_words, 6) << '\n';
    if (!fit) continue;
    settings.tension = fit_tension(lengths, target_.words.size(), feature, settings.tension);
    progress_.log() << " posterior al-feat: " << to_text(feature, 6) << "\n     final tension: "
                    << to_text(settings.tension, 12) << '\n';
    prior_.prepare(shapes_, settings);
  }
}

template <typename Real>
std::vector<std::uint32_t> Trainer<Real>::link(std::vector<double>* scores) {
  const Settings& settings = model_.settings;
  progress_.log() << "ITERATION " << settings.iterations << " (FINAL)\n";
  progress_.start("links", "words", source_.words.size());
  std::vector<Real> null;
  null_row(null);
  links_.assign(target_.words.size(), 0);
  best_.resize(target_.words.size());
  for_each_line_block([&](std::size_t, std::size_t first, std::size_t last) {
    for (std::size_t k = first; k < last; ++k) {
      if (lines_[k].n == 0) continue;
      const Real* scale = prior_.scale(shapes_.shapes()[shapes_.of_line(k)]);
      const Real null_prior = static_cast<Real>(settings.null_prior(lines_[k].n));
      for (std::uint32_t j = 0; j < lines_[k].m; ++j) {
        const std::uint64_t place = lines_[k].first + j;
        best_[place] = null_prior * null[target_.words[place]] / scale[j];
      }
    }
  });
  gather(true);
  if (scores) scores->assign(lines_.size(), 0);
  std::vector<double> parts((lines_.size() + kBlock - 1) / kBlock, 0);
  for_each_line_block([&](std::size_t block, std::size_t first, std::size_t last) {
    double sum_of_block = 0;
    for (std::size_t k = first; k < last; ++k) {
      const Line& line = lines_[k];
      if (line.n == 0) continue;
      const Real* scale = prior_.scale(shapes_.shapes()[shapes_.of_line(k)]);
      const Real null_prior = static_cast<Real>(settings.null_prior(line.n));
      const bool tiny = std::any_of(best_.data() + line.first, best_.data() + line.first + line.m,
                                    [](Real best) { return best < Real(1e-30); });  // too small to be compared
      double log_likelihood = -kLogScale * line.m;
      LogProduct product;
      for (std::uint32_t j = 0; j < line.m; ++j) {
        const std::uint64_t place = line.first + j;
        const Real sum = null_prior * null[target_.words[place]] + scale[j] * sums_[place];
        product.multiply(sum > 0 ? static_cast<double>(sum) : std::exp(log_of_sum(0)));
        if (!(links_[place] & kNear) && !tiny) continue;
        double unused = 0;
        links_[place] = model_.link(source_.line(k), target_.line(k), j + 1, unused);
      }
      log_likelihood += product.log();
      sum_of_block += log_likelihood;
      if (scores) (*scores)[k] = score(log_likelihood, line.n, line.m, settings);
    }
    parts[block] = sum_of_block;
  });
  double log_likelihood = 0;
  for (const double part : parts) log_likelihood += part;
  if (!target_.words.empty()) report(log_likelihood);
  progress_.finish();
  best_ = {};
  return std::move(links_);
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace weam
