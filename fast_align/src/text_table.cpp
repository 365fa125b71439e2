#include "text_table.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>

namespace weam {

namespace {

void load_parameters(const std::string& path, Settings& settings, bool keep_tension, bool keep_ratio, std::ostream& log) {
  if (!std::ifstream(path)) {  // a table of another program, or a lost file
    if (settings.favor_diagonal && !keep_tension) {
      log << "warning: " << path << ": cannot be read; the tension is " << to_text(settings.tension, 6)
          << ", give that of the training with -T\n";
    }
    return;
  }
  LineReader lines(path);
  std::string line;
  std::vector<std::string_view> fields;
  while (lines.next(line)) {
    split_tokens(line, fields);
    double value = 0;
    if (fields.size() != 2 || !parse_number(fields[1], value) || !(value > 0) ||
        (fields[0] == "tension" && (value < kMinTension || value > kMaxTension))) {
      throw UserError(lines.where() + ": not the name and value of a setting; delete the file and give -T and -m");
    }
    if (fields[0] == "tension" && !keep_tension) settings.tension = value;
    if (fields[0] == "length_ratio" && !keep_ratio) settings.length_ratio = value;
  }
}

}  // namespace

template <typename Real>
void save_text_table(std::ostream& table, std::ostream& parameters, const Dictionary& source, const Dictionary& target,
                     const Model<Real>& model, double beam) {
  for (Word word = 0; word < source.size() && table; ++word) {
    const auto row = model.rows.row(word);
    double best = 0;
    for (std::uint32_t k = 0; k < row.size; ++k) best = std::max(best, static_cast<double>(row.probabilities[k]));
    for_each_target(row.bytes, row.size, [&](std::uint32_t k, Word met) {
      const double probability = static_cast<double>(row.probabilities[k]);
      if (!(probability > 0) || std::log(probability) < std::log(best) + beam) return;
      table << source.text(word) << ' ' << target.text(met) << ' ' << to_text(std::log(probability) - kLogScale, 17) << '\n';
    });
  }
  parameters << "tension " << to_text(model.settings.tension, 17) << "\nlength_ratio "
             << to_text(model.settings.length_ratio, 17) << '\n';
}

Lexicon<double> load_text_table(const std::string& path, const Settings& settings, bool keep_tension, bool keep_ratio,
                                std::ostream& log) {
  struct Item {
    Word source, target;
    double log_probability;
  };
  Lexicon<double> lexicon;
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
    items.push_back({lexicon.source.add(fields[0]), lexicon.target.add(fields[1]), value});
  }
  if (items.empty()) throw UserError(lines.name() + ": the table is empty; give a table that was written with -p");
  std::stable_sort(items.begin(), items.end(), [](const Item& a, const Item& b) {
    return a.source != b.source ? a.source < b.source : a.target < b.target;
  });
  std::vector<std::uint32_t> sizes(lexicon.source.size(), 0);
  std::vector<std::uint8_t> bytes;
  std::vector<double> probabilities;
  for (std::size_t k = 0; k < items.size(); ++k) {
    const bool same_row = k > 0 && items[k - 1].source == items[k].source;
    if (same_row && items[k - 1].target == items[k].target) continue;  // the first of two equal lines counts
    append_difference(items[k].target - (same_row ? items[k - 1].target : 0), bytes);
    probabilities.push_back(std::exp(items[k].log_probability + kLogScale));
    ++sizes[items[k].source];
  }
  lexicon.model.rows = Rows<double>::from_parts(std::move(sizes), std::move(bytes), std::move(probabilities),
                                                lexicon.target.size());
  lexicon.model.settings = settings;
  load_parameters(path + ".params", lexicon.model.settings, keep_tension, keep_ratio, log);
  return lexicon;
}

template void save_text_table(std::ostream&, std::ostream&, const Dictionary&, const Dictionary&, const Model<float>&, double);
template void save_text_table(std::ostream&, std::ostream&, const Dictionary&, const Dictionary&, const Model<double>&, double);

}  // namespace weam
