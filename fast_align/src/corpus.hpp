// Words as numbers, and the whole parallel text as two flat arrays of them.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

#include "io.hpp"
#include "progress.hpp"

namespace weam {

using Word = std::uint32_t;

// The empty word of the source side. A token that is spelled "<eps>" is the same word, as in the reference program.
inline constexpr Word kNull = 0;
inline constexpr std::string_view kNullText = "<eps>";
inline constexpr Word kUnknown = ~Word{0};
// Different words on a side, and words of one line: processors gather with signed 32-bit positions.
inline constexpr std::uint32_t kMostWords = 0x7FFFFFFFu;

// A stretch of words; does not own them.
struct Words {
  const Word* data = nullptr;
  std::uint32_t size = 0;
  Word operator[](std::uint32_t i) const { return data[i]; }
  const Word* begin() const { return data; }
  const Word* end() const { return data + size; }
};

// The words of one side, numbered from kNull = 0. Spellings lie one behind the other in one string; the numbers are found
// by open addressing.
class Dictionary {
 public:
  Dictionary();
  Word add(std::string_view text);         // throws UserError beyond kMostWords
  Word find(std::string_view text) const;  // kUnknown if it is not there
  std::string_view text(Word word) const {
    return std::string_view(texts_).substr(start_[word], start_[word + 1] - start_[word]);
  }
  std::size_t size() const { return start_.size() - 1; }
  // Word w becomes numbers[w]; a permutation that leaves kNull alone.
  void renumber(const std::vector<Word>& numbers);
  std::size_t bytes() const;

 private:
  struct Slot {
    std::uint32_t hash = 0;
    Word word = kUnknown;  // kUnknown: free
  };
  std::size_t slot_of(std::string_view text, std::uint32_t hash) const;
  void rehash(std::size_t slots);
  std::string texts_;
  std::vector<std::uint64_t> start_{0};
  std::vector<Slot> slots_;
};

// Lines of the input as tokens, and the count of those that cannot be aligned.
class PairReader {
 public:
  explicit PairReader(const std::string& path) : lines_(path) {}
  PairReader(std::istream& stream, const std::string& name) : lines_(stream, name) {}

  // Reads the tokens of one line, valid until the next call; false at the end.
  bool next(std::vector<std::string_view>& first, std::vector<std::string_view>& second);
  bool usable() const { return usable_; }  // whether both sides of this line have words
  std::size_t skipped() const { return skipped_; }
  void report(std::ostream& log) const;  // warns of the lines that were left without links

 private:
  LineReader lines_;
  std::string line_;
  bool usable_ = false;
  std::size_t skipped_ = 0, no_separator_ = 0;
  std::vector<std::size_t> skipped_lines_;  // numbers of the first few
};

// One side of the corpus: the words of line k are words[start[k]] up to words[start[k + 1]].
struct Side {
  Dictionary dictionary;  // numbered by falling frequency, so that frequent words lie together in memory
  std::vector<Word> words;
  std::vector<std::uint64_t> start{0};

  Words line(std::size_t k) const { return {words.data() + start[k], static_cast<std::uint32_t>(start[k + 1] - start[k])}; }
};

class Corpus {
 public:
  // Reads everything; warns in the log of lines with an empty side.
  Corpus(PairReader reader, Progress& progress);

  Side first, second;
  std::size_t lines() const { return first.start.size() - 1; }
  std::size_t pairs() const { return lines() - skipped_; }  // lines with words on both sides
  std::size_t skipped() const { return skipped_; }
  std::size_t bytes() const;

 private:
  std::size_t skipped_ = 0;
};

}  // namespace weam
