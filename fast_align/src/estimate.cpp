// How much memory training will need, from the rows of some of the words.
#include <algorithm>

#include "train.hpp"

namespace weam {

std::uint64_t estimate_bytes(const Side& source, const Side& target, std::size_t real, unsigned threads) {
  const Postings postings(source);
  const std::size_t words = source.dictionary.size();
  // Words lie in order of frequency, so a word's row is about as long as those of its neighbours: one word stands for all
  // up to the next one that is looked at.
  double entries = static_cast<double>(target.dictionary.size());  // row of the empty word
  const std::size_t widest = std::max<std::size_t>(1, words / 2000);
  std::vector<std::size_t> seen(target.dictionary.size(), 0);
  for (std::size_t word = 1; word < words;) {
    const std::size_t step = std::min({widest, 1 + word / 4, words - word});
    std::size_t size = 0;
    for (std::uint64_t place = postings.start[word]; place < postings.start[word + 1]; ++place) {
      for (const Word met : target.line(postings.places[place].line)) {
        size += seen[met] != word;
        seen[met] = word;
      }
    }
    entries += static_cast<double>(size) * static_cast<double>(step);
    word += step;
  }
  const double per_entry = 1.3 + static_cast<double>(real);
  const std::uint64_t lines = source.start.size() - 1;
  return static_cast<std::uint64_t>(entries * per_entry) + postings.places.size() * sizeof(Postings::Place) +
         target.words.size() * (2 * real + 4) + lines * 20 + words * 40 +
         threads * target.dictionary.size() * (16 + real);
}

}  // namespace weam
