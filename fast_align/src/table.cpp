#include "table.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>

namespace weam {

double digamma(double x) {
  // Recurrence psi(x) = psi(x + 1) - 1/x up to x >= 8, then the asymptotic series (Abramowitz & Stegun 6.3.5, 6.3.18).
  double shift = 0;
  for (; x < 8; ++x) shift -= 1 / x;
  const double y = 1 / (x * x);
  const double series =
      y * (1.0 / 12 - y * (1.0 / 120 - y * (1.0 / 252 - y * (1.0 / 240 - y * (1.0 / 132 - y * 691.0 / 32760)))));
  return shift + std::log(x) - 0.5 / x - series;
}

Table::Table(const Corpus& corpus, bool with_null) {
  // The lines in which each source word occurs; of two equal words in one line only the first is noted.
  const std::size_t words = corpus.words().size();
  std::vector<std::uint64_t> place(words + 2, 0);
  std::vector<std::size_t> last_line(words, ~std::size_t{0});
  std::vector<std::uint32_t> lines;
  if (corpus.lines() > 0xFFFFFFFFu) throw UserError("more than 4294967295 lines; split the text");
  for (const bool counting : {true, false}) {
    std::fill(last_line.begin(), last_line.end(), ~std::size_t{0});
    for (std::size_t line = 0; line < corpus.lines(); ++line) {
      for (const Word word : corpus.source(line)) {
        if (last_line[word] == line) continue;
        last_line[word] = line;
        if (counting) {
          ++place[word + 2];
        } else {
          lines[place[word + 1]++] = static_cast<std::uint32_t>(line);
        }
      }
    }
    if (counting) {
      for (std::size_t word = 2; word < place.size(); ++word) place[word] += place[word - 1];
      lines.resize(place.back());
    }
  }

  std::vector<Word> seen_by(words, 0);  // 1 + the source word whose row has this target word already
  row_start_.assign(1, 0);
  for (Word word = 0; word < words; ++word) {
    const auto note = [&](std::size_t line) {
      for (const Word target : corpus.target(line)) {
        if (seen_by[target] == word + 1) continue;
        seen_by[target] = word + 1;
        targets_.push_back(target);
      }
    };
    if (word == kNull && with_null) {
      for (std::size_t line = 0; line < corpus.lines(); ++line) note(line);
    } else {
      for (std::uint64_t k = place[word]; k < place[word + 1]; ++k) note(lines[k]);
    }
    std::sort(targets_.begin() + static_cast<std::ptrdiff_t>(row_start_.back()), targets_.end());
    row_start_.push_back(targets_.size());
  }
  targets_.shrink_to_fit();
  probabilities_.assign(targets_.size(), kUnseen);
  counts_.assign(targets_.size(), 0.0);
}

Table::Table(const std::string& path, Dictionary& words) {
  struct Item {
    Word source, target;
    double log_probability;
  };
  std::vector<Item> items;
  LineReader lines(path);
  std::string line;
  std::vector<std::string_view> fields;
  while (lines.next(line)) {
    split_tokens(line, fields);
    double value = 0;
    if (fields.size() != 3 || !parse_number(fields[2], value) || value > 1e-6) {
      throw UserError(lines.where() + ": not 'source target log-probability'; give a table that was written with -p");
    }
    items.push_back({words.add(fields[0]), words.add(fields[1]), value});
  }
  if (items.empty()) throw UserError(lines.name() + ": the table is empty; give a table that was written with -p");
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.source != b.source ? a.source < b.source : a.target < b.target;
  });
  row_start_.assign(words.size() + 1, 0);
  for (const Item& item : items) {
    ++row_start_[item.source + 1];
    targets_.push_back(item.target);
    probabilities_.push_back(std::exp(item.log_probability));
  }
  for (std::size_t row = 1; row < row_start_.size(); ++row) row_start_[row] += row_start_[row - 1];
}

Table::Entry Table::find(Word source, Word target) const {
  if (source + std::size_t{1} >= row_start_.size()) return kAbsent;
  const auto first = targets_.begin() + static_cast<std::ptrdiff_t>(row_start_[source]);
  const auto last = targets_.begin() + static_cast<std::ptrdiff_t>(row_start_[source + 1]);
  const auto found = std::lower_bound(first, last, target);
  return found != last && *found == target ? static_cast<Entry>(found - targets_.begin()) : kAbsent;
}

template <typename Update>
void Table::for_each_row(Update update) const {
  for (std::size_t row = 0; row + 1 < row_start_.size(); ++row) {
    if (row_start_[row] < row_start_[row + 1]) update(row, row_start_[row], row_start_[row + 1]);
  }
}

void Table::normalise() {
  for_each_row([this](std::size_t, Entry first, Entry last) {
    double total = 0;
    for (Entry entry = first; entry < last; ++entry) total += counts_[entry];
    for (Entry entry = first; entry < last; ++entry) probabilities_[entry] = total > 0 ? counts_[entry] / total : 0;
  });
  std::fill(counts_.begin(), counts_.end(), 0.0);
}

void Table::normalise_variational(double alpha) {
  for_each_row([this, alpha](std::size_t, Entry first, Entry last) {
    double total = 0;
    for (Entry entry = first; entry < last; ++entry) total += counts_[entry] + alpha;
    const double log_total = digamma(total);
    for (Entry entry = first; entry < last; ++entry) {
      probabilities_[entry] = std::exp(digamma(counts_[entry] + alpha) - log_total);
    }
  });
  std::fill(counts_.begin(), counts_.end(), 0.0);
}

void Table::save(const std::string& path, const Dictionary& words, double beam) const {
  errno = 0;
  std::ofstream file(path, std::ios::binary);
  for_each_row([&](std::size_t row, Entry first, Entry last) {
    const double best = *std::max_element(probabilities_.begin() + static_cast<std::ptrdiff_t>(first),
                                          probabilities_.begin() + static_cast<std::ptrdiff_t>(last));
    for (Entry entry = first; entry < last && file; ++entry) {
      const double value = std::log(probabilities_[entry]);
      if (probabilities_[entry] <= 0 || value < std::log(best) + beam) continue;
      file << words.text(static_cast<Word>(row)) << ' ' << words.text(targets_[entry]) << ' ' << to_text(value, 12)
           << '\n';
    }
  });
  file.close();
  if (!file) throw UserError(path + ": cannot be written (" + (errno ? std::strerror(errno) : "unknown fault") + ")");
}

}  // namespace weam
