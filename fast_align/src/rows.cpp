#include "rows.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "parallel.hpp"

namespace weam {

namespace {

// A set of words that is cheap to fill and to empty again.
class alignas(64) WordSet {
 public:
  explicit WordSet(std::size_t words) : bits_(words / 64 + 1, 0) {}
  void insert(Word word) {
    std::uint64_t& bits = bits_[word / 64];
    const std::uint64_t bit = std::uint64_t{1} << (word % 64);
    if (bits & bit) return;
    bits |= bit;
    members_.push_back(word);
  }
  // The members in ascending order; the set is empty afterwards.
  const std::vector<Word>& take() {
    if (members_.size() > bits_.size() / 4) {
      members_.clear();
      for (std::size_t k = 0; k < bits_.size(); ++k) {
        for (std::uint64_t bits = bits_[k]; bits != 0; bits &= bits - 1) {
          members_.push_back(static_cast<Word>(k * 64) + lowest_bit(bits));
        }
        bits_[k] = 0;
      }
    } else {
      std::sort(members_.begin(), members_.end());
      for (const Word word : members_) bits_[word / 64] = 0;
    }
    taken_.swap(members_);
    members_.clear();
    return taken_;
  }

 private:
  static Word lowest_bit(std::uint64_t bits) {
#if defined(__GNUC__)
    return static_cast<Word>(__builtin_ctzll(bits));
#else
    Word position = 0;
    for (; !(bits & 1); bits >>= 1) ++position;
    return position;
#endif
  }
  std::vector<std::uint64_t> bits_;
  std::vector<Word> members_, taken_;
};

// Ranges of rows of roughly equal work: enough for many threads, few enough to cost nothing.
std::vector<Word> plan_chunks(const std::vector<std::uint64_t>& start) {
  constexpr std::uint64_t kChunks = 256, kFixedCost = 2;
  const std::uint64_t rows = start.size() - 1;
  const std::uint64_t share = (start.back() + kFixedCost * rows) / kChunks + 1;
  std::vector<Word> first_rows{0};
  std::uint64_t cost = 0;
  for (Word row = 0; row < rows; ++row) {
    cost += start[row + 1] - start[row] + kFixedCost;
    if ((cost >= share || row == kNull) && row + 1 < rows) {
      first_rows.push_back(row + 1);
      cost = 0;
    }
  }
  first_rows.push_back(static_cast<Word>(rows));
  return first_rows;
}

}  // namespace

Postings::Postings(const Side& source) : start(source.dictionary.size() + 1, 0) {
  for (const Word word : source.words) ++start[word + 1];
  for (std::size_t word = 1; word < start.size(); ++word) start[word] += start[word - 1];
  places.resize(source.words.size());
  std::vector<std::uint64_t> next(start.begin(), start.end() - 1);
  for (std::size_t line = 0; line + 1 < source.start.size(); ++line) {
    const Words words = source.line(line);
    for (std::uint32_t i = 0; i < words.size; ++i) places[next[words[i]]++] = {static_cast<std::uint32_t>(line), i};
  }
}

template <typename Real>
void Rows<Real>::append(Chunk& chunk, const std::vector<Word>& targets) {
  const std::size_t first_byte = chunk.bytes.size();
  Word last = 0;
  for (std::size_t k = 0; k < targets.size(); ++k) {
    if (k > 0 && k % kStride == 0) {
      const std::size_t byte = chunk.bytes.size() - first_byte;
      if (byte > 0xFFFFFFFFu) throw std::runtime_error("a row of the table is longer than 4 GiB");
      chunk.samples.push_back({last, static_cast<std::uint32_t>(byte)});
    }
    append_difference(targets[k] - last, chunk.bytes);
    last = targets[k];
  }
}

template <typename Real>
Rows<Real>::Rows(const Postings& postings, const Side& target, bool with_null, unsigned threads)
    : first_rows_(plan_chunks(postings.start)), sizes_(postings.start.size() - 1, 0), chunk_of_(sizes_.size()),
      places_(sizes_.size()) {
  chunks_.resize(first_rows_.size() - 1);
  std::vector<WordSet> sets(threads, WordSet(target.dictionary.size()));
  for_each_task(threads, chunks_.size(), [&](unsigned thread, std::size_t k) {
    WordSet& met = sets[thread];
    Chunk chunk;
    std::uint64_t entries = 0;
    for (Word row = first_rows_[k]; row < first_rows_[k + 1]; ++row) {
      if (row == kNull && with_null) {
        for (const Word word : target.words) met.insert(word);
      }
      for (std::uint64_t place = postings.start[row]; place < postings.start[row + 1]; ++place) {
        for (const Word word : target.line(postings.places[place].line)) met.insert(word);
      }
      places_[row] = {chunk.bytes.size(), entries, chunk.samples.size()};
      const std::vector<Word>& targets = met.take();
      append(chunk, targets);
      chunk_of_[row] = static_cast<std::uint32_t>(k);
      sizes_[row] = static_cast<std::uint32_t>(targets.size());
      entries += targets.size();
    }
    chunk.probabilities.assign(entries, static_cast<Real>(kUnseen * kScale));
    chunk.bytes.shrink_to_fit();
    chunk.samples.shrink_to_fit();
    chunks_[k] = std::move(chunk);
  });
}

template <typename Real>
Rows<Real> Rows<Real>::from_parts(std::vector<std::uint32_t> sizes, std::vector<std::uint8_t> bytes,
                                  std::vector<Real> probabilities, std::size_t target_words) {
  Rows table;
  Chunk chunk;
  std::uint64_t byte = 0, entry = 0;
  for (const std::uint32_t size : sizes) {
    table.places_.push_back({byte, entry, chunk.samples.size()});
    const std::uint64_t first_byte = byte;
    std::uint64_t target = 0;
    for (std::uint32_t k = 0; k < size; ++k) {
      if (k > 0 && k % kStride == 0) {
        if (byte - first_byte > 0xFFFFFFFFu) throw std::runtime_error("a row is too long");
        chunk.samples.push_back({static_cast<Word>(target), static_cast<std::uint32_t>(byte - first_byte)});
      }
      std::uint64_t difference = 0;
      for (unsigned shift = 0;; shift += 7) {
        if (byte >= bytes.size() || shift > 28) throw std::runtime_error("a row is cut off");
        difference |= static_cast<std::uint64_t>(bytes[byte] & 0x7Fu) << shift;
        if (!(bytes[byte++] & 0x80u)) break;
      }
      target += difference;
      if (target >= target_words || (k > 0 && difference == 0)) throw std::runtime_error("a row names unknown words");
    }
    entry += size;
    if (entry > probabilities.size()) throw std::runtime_error("probabilities are missing");
  }
  if (byte != bytes.size() || entry != probabilities.size()) throw std::runtime_error("there is more than its rows");
  for (const Real probability : probabilities) {
    if (!(probability >= 0) || !std::isfinite(probability)) throw std::runtime_error("a probability is no number");
  }
  chunk.bytes = std::move(bytes);
  chunk.probabilities = std::move(probabilities);
  table.chunks_.push_back(std::move(chunk));
  table.first_rows_ = {0, static_cast<Word>(sizes.size())};
  table.chunk_of_.assign(sizes.size(), 0);
  table.sizes_ = std::move(sizes);
  return table;
}

template <typename Real>
std::uint64_t Rows<Real>::entries() const {
  std::uint64_t sum = 0;
  for (const std::uint32_t size : sizes_) sum += size;
  return sum;
}

template <typename Real>
std::size_t Rows<Real>::bytes() const {
  std::size_t sum = places_.capacity() * sizeof(Place) + (sizes_.capacity() + chunk_of_.capacity()) * 4;
  for (const Chunk& chunk : chunks_) {
    sum += chunk.bytes.capacity() + chunk.probabilities.capacity() * sizeof(Real) +
           chunk.samples.capacity() * sizeof(Sample);
  }
  return sum;
}

template <typename Real>
typename Rows<Real>::Row Rows<Real>::row(Word source) const {
  const Chunk& chunk = chunks_[chunk_of_[source]];
  const Place& place = places_[source];
  return {chunk.bytes.data() + place.byte, chunk.probabilities.data() + place.entry, sizes_[source]};
}

template <typename Real>
Real* Rows<Real>::probabilities(Word source) {
  return chunks_[chunk_of_[source]].probabilities.data() + places_[source].entry;
}

template <typename Real>
double Rows<Real>::find(Word source, Word target) const {
  if (source >= sizes_.size() || target == kUnknown) return kUnseen * kScale;
  const Chunk& chunk = chunks_[chunk_of_[source]];
  const std::uint32_t size = sizes_[source];
  const Sample* samples = chunk.samples.data() + places_[source].sample;
  const std::size_t count = size > 0 ? (size - 1) / kStride : 0;
  // The last sample whose word lies before the target.
  const std::size_t behind =
      static_cast<std::size_t>(std::lower_bound(samples, samples + count, target,
                                                [](const Sample& sample, Word word) { return sample.target < word; }) -
                               samples);
  const std::uint8_t* bytes = chunk.bytes.data() + places_[source].byte;
  Word word = 0;
  std::uint32_t k = 0;
  if (behind > 0) {
    word = samples[behind - 1].target;
    bytes += samples[behind - 1].byte;
    k = static_cast<std::uint32_t>(behind) * kStride;
  }
  for (const std::uint32_t end = std::min(size, k + kStride); k < end; ++k) {
    word += read_difference(bytes);
    if (word >= target) {
      if (word > target) break;
      return static_cast<double>(chunk.probabilities[places_[source].entry + k]);
    }
  }
  return kUnseen * kScale;
}

template class Rows<float>;
template class Rows<double>;

}  // namespace weam
