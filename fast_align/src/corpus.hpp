// Words as numbers, and the whole parallel text as two flat arrays of them.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io.hpp"

namespace weam {

using Word = std::uint32_t;

// The empty word of the source side. A token that is spelled "<eps>" is the same word, as in the reference program.
inline constexpr Word kNull = 0;
inline constexpr const char* kNullText = "<eps>";

// A stretch of words; does not own them.
struct Words {
  const Word* data = nullptr;
  std::uint32_t size = 0;
  Word operator[](std::uint32_t i) const { return data[i]; }
  const Word* begin() const { return data; }
  const Word* end() const { return data + size; }
};

// One dictionary for both sides; numbers are given in the order of first appearance, from kNull = 0.
class Dictionary {
 public:
  Dictionary() { add(kNullText); }
  Word add(std::string_view text);
  std::string_view text(Word word) const { return texts_[word]; }
  std::size_t size() const { return texts_.size(); }

 private:
  std::deque<std::string> texts_;  // a deque never moves its strings: the keys below stay valid
  std::unordered_map<std::string_view, Word> numbers_;
};

// Reading one line into words, and the count of lines that cannot be aligned.
class PairReader {
 public:
  // `reversed`: the model predicts the first side of each line from the second.
  PairReader(const std::string& path, bool reversed) : lines_(path), reversed_(reversed) {}

  // Reads one line. Both `source` (conditioned on) and `target` (predicted) are left empty if a side has no words.
  bool next(Dictionary& words, std::vector<Word>& source, std::vector<Word>& target);
  const std::vector<std::string_view>& first_side() const { return first_; }  // tokens as in the line
  const std::vector<std::string_view>& second_side() const { return second_; }
  void report(std::ostream& log) const;  // warns of the lines that were left without links

 private:
  LineReader lines_;
  bool reversed_;
  std::string line_;
  std::vector<std::string_view> first_, second_;
  std::size_t skipped_ = 0, no_separator_ = 0;
  std::vector<std::size_t> skipped_lines_;  // numbers of the first few
};

class Corpus {
 public:
  Corpus(const std::string& path, bool reversed, std::ostream& log);

  std::size_t lines() const { return source_start_.size() - 1; }
  std::size_t pairs() const { return pairs_; }                  // lines with words on both sides
  std::uint64_t target_words() const { return target_.size(); }
  std::uint64_t source_words() const { return source_.size(); }
  Words source(std::size_t line) const { return slice(source_, source_start_, line); }
  Words target(std::size_t line) const { return slice(target_, target_start_, line); }
  const Dictionary& words() const { return words_; }
  // Mean over the pairs of (target length / source length); 1 if there is no pair.
  double length_ratio() const;

 private:
  static Words slice(const std::vector<Word>& words, const std::vector<std::uint64_t>& start, std::size_t line) {
    return {words.data() + start[line], static_cast<std::uint32_t>(start[line + 1] - start[line])};
  }
  Dictionary words_;
  std::vector<Word> source_, target_;
  std::vector<std::uint64_t> source_start_{0}, target_start_{0};  // offset of each line; one more than lines
  std::size_t pairs_ = 0;
};

}  // namespace weam
