// The translation table t(target word | source word): one row per source word with the target words that it has met.
//
// A row is a sorted list of target words, written as differences in 1 to 5 bytes each, and one probability per word; about
// 5 bytes an entry. Probabilities are kept 2^96 times too large, because the smallest that variational Bayes makes, about
// e^(-1/alpha) of the largest, would be no normal float.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "corpus.hpp"

namespace weam {

// Probability of a pair of words that is not in the table, and of every pair before the first M-step.
inline constexpr double kUnseen = 1e-9;
inline constexpr double kScale = 0x1p96;
inline constexpr double kLogScale = 96 * 0.693147180559945309417232121458;

// The lines in which each source word occurs, and where in the line: in a row those of word w lie from start[w] to
// start[w + 1], ordered by line and position.
struct Postings {
  struct Place {
    std::uint32_t line, position;  // position: 0-based
  };
  explicit Postings(const Side& source);
  std::vector<std::uint64_t> start;
  std::vector<Place> places;
};

template <typename Real>
class Rows {
 public:
  Rows() = default;
  // All entries that the text supports. `with_null`: row kNull has every word of the target side.
  Rows(const Postings& postings, const Side& target, bool with_null, unsigned threads);

  struct Row {
    const std::uint8_t* bytes;
    const Real* probabilities;  // scaled
    std::uint32_t size;
  };
  std::size_t rows() const { return sizes_.size(); }
  std::uint64_t entries() const;
  std::size_t bytes() const;
  Row row(Word source) const;
  Real* probabilities(Word source);  // of the row, to be changed
  // The scaled probability of one entry; kUnseen, scaled, if the table has none.
  double find(Word source, Word target) const;

  // The parts of a saved table, checked: throws std::runtime_error with the reason if they are not a table.
  static Rows from_parts(std::vector<std::uint32_t> sizes, std::vector<std::uint8_t> bytes,
                         std::vector<Real> probabilities, std::size_t target_words);
  // Calls part(bytes, number of bytes, probabilities, number of entries) for each chunk in order.
  template <typename Part>
  void for_each_chunk(Part part) const {
    for (std::size_t k = 0; k < chunks_.size(); ++k) {
      part(chunks_[k].bytes.data(), chunks_[k].bytes.size(), chunks_[k].probabilities.data(),
           chunks_[k].probabilities.size());
    }
  }
  const std::vector<std::uint32_t>& sizes() const { return sizes_; }
  // Rows first_rows()[k] up to first_rows()[k + 1] lie together; a good unit of work.
  const std::vector<Word>& first_rows() const { return first_rows_; }

 private:
  struct Sample {
    Word target;         // the word before which a decoder may start
    std::uint32_t byte;  // from the start of the row
  };
  struct Chunk {
    std::vector<std::uint8_t> bytes;
    std::vector<Real> probabilities;
    std::vector<Sample> samples;  // of every kStride-th entry but the first, for find
  };
  struct Place {
    std::uint64_t byte, entry, sample;
  };
  static constexpr std::uint32_t kStride = 32;
  static void append(Chunk& chunk, const std::vector<Word>& targets);

  std::vector<Chunk> chunks_;
  std::vector<Word> first_rows_;
  std::vector<std::uint32_t> sizes_, chunk_of_;
  std::vector<Place> places_;
};

inline void append_difference(std::uint32_t difference, std::vector<std::uint8_t>& bytes) {
  for (; difference >= 0x80u; difference >>= 7) bytes.push_back(static_cast<std::uint8_t>(difference | 0x80u));
  bytes.push_back(static_cast<std::uint8_t>(difference));
}

// Reads one difference and moves on.
inline std::uint32_t read_difference(const std::uint8_t*& bytes) {
  std::uint32_t value = *bytes & 0x7Fu;
  for (unsigned shift = 7; *bytes++ & 0x80u; shift += 7) value |= static_cast<std::uint32_t>(*bytes & 0x7Fu) << shift;
  return value;
}

// Calls visit(k, target) for k = 0..size-1.
template <typename Visit>
inline void for_each_target(const std::uint8_t* bytes, std::uint32_t size, Visit visit) {
  Word target = 0;
  for (std::uint32_t k = 0; k < size; ++k) visit(k, target += read_difference(bytes));
}

extern template class Rows<float>;
extern template class Rows<double>;

}  // namespace weam
