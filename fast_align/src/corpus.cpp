#include "corpus.hpp"

#include <limits>

namespace weam {

Word Dictionary::add(std::string_view text) {
  const auto found = numbers_.find(text);
  if (found != numbers_.end()) return found->second;
  if (texts_.size() == std::numeric_limits<Word>::max()) throw UserError("more than 4294967295 different words");
  const Word word = static_cast<Word>(texts_.size());
  texts_.emplace_back(text);
  numbers_.emplace(texts_.back(), word);
  return word;
}

bool PairReader::next(Dictionary& words, std::vector<Word>& source, std::vector<Word>& target) {
  source.clear();
  target.clear();
  if (!lines_.next(line_)) return false;
  const bool separated = split_sides(line_, first_, second_);
  if (first_.empty() || second_.empty()) {
    ++skipped_;
    no_separator_ += !separated;
    if (skipped_lines_.size() < 5) skipped_lines_.push_back(lines_.number());
    return true;
  }
  for (const std::string_view token : first_) (reversed_ ? target : source).push_back(words.add(token));
  for (const std::string_view token : second_) (reversed_ ? source : target).push_back(words.add(token));
  return true;
}

void PairReader::report(std::ostream& log) const {
  if (skipped_ == 0) return;
  log << "warning: " << lines_.name() << ": " << skipped_ << (skipped_ == 1 ? " line has" : " lines have")
      << " no words on a side and got no links";
  if (no_separator_ > 0) log << " (" << no_separator_ << " without ' ||| ')";
  log << ": line" << (skipped_ == 1 ? "" : "s");
  for (const std::size_t number : skipped_lines_) log << ' ' << number;
  log << (skipped_ > skipped_lines_.size() ? " ...\n" : "\n");
}

Corpus::Corpus(const std::string& path, bool reversed, std::ostream& log) {
  PairReader reader(path, reversed);
  std::vector<Word> source, target;
  while (reader.next(words_, source, target)) {
    source_.insert(source_.end(), source.begin(), source.end());
    target_.insert(target_.end(), target.begin(), target.end());
    source_start_.push_back(source_.size());
    target_start_.push_back(target_.size());
    pairs_ += !source.empty();
  }
  source_.shrink_to_fit();
  target_.shrink_to_fit();
  reader.report(log);
}

double Corpus::length_ratio() const {
  double sum = 0;
  for (std::size_t line = 0; line < lines(); ++line) {
    if (source(line).size > 0) sum += static_cast<double>(target(line).size) / source(line).size;
  }
  return pairs_ > 0 ? sum / static_cast<double>(pairs_) : 1.0;
}

}  // namespace weam
