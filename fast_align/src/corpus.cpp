#include "corpus.hpp"

#include <algorithm>
#include <numeric>
#include <ostream>

namespace weam {

namespace {

// FNV-1a, with a last step that mixes the high bits into the low ones.
std::uint32_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return static_cast<std::uint32_t>((hash ^ (hash >> 29)) * 0x9e3779b97f4a7c15u >> 32);
}

// Numbers by falling frequency, of equal ones by first appearance; kNull stays.
void order_by_frequency(Side& side) {
  std::vector<std::uint64_t> counts(side.dictionary.size(), 0);
  for (const Word word : side.words) ++counts[word];
  std::vector<Word> order(counts.size()), numbers(counts.size());
  std::iota(order.begin(), order.end(), Word{0});
  std::stable_sort(order.begin() + 1, order.end(), [&](Word a, Word b) { return counts[a] > counts[b]; });
  for (Word number = 0; number < order.size(); ++number) numbers[order[number]] = number;
  for (Word& word : side.words) word = numbers[word];
  side.dictionary.renumber(numbers);
}

}  // namespace

Dictionary::Dictionary() : slots_(1024) { add(kNullText); }

std::size_t Dictionary::slot_of(std::string_view wanted, std::uint32_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = hash & mask;
  while (slots_[slot].word != kUnknown && (slots_[slot].hash != hash || text(slots_[slot].word) != wanted)) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

Word Dictionary::find(std::string_view wanted) const { return slots_[slot_of(wanted, hash_of(wanted))].word; }

Word Dictionary::add(std::string_view wanted) {
  const std::uint32_t hash = hash_of(wanted);
  const std::size_t slot = slot_of(wanted, hash);
  if (slots_[slot].word != kUnknown) return slots_[slot].word;
  if (size() >= kMostWords) throw UserError("more than 2147483647 different words on a side; split the text");
  const Word word = static_cast<Word>(size());
  slots_[slot] = {hash, word};
  texts_ += wanted;
  start_.push_back(texts_.size());
  if (size() * 2 > slots_.size()) rehash(slots_.size() * 2);
  return word;
}

void Dictionary::rehash(std::size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  for (const Slot& entry : old) {
    if (entry.word == kUnknown) continue;
    std::size_t slot = entry.hash & (slots - 1);
    while (slots_[slot].word != kUnknown) slot = (slot + 1) & (slots - 1);
    slots_[slot] = entry;
  }
}

void Dictionary::renumber(const std::vector<Word>& numbers) {
  std::vector<Word> old(numbers.size());
  for (Word word = 0; word < numbers.size(); ++word) old[numbers[word]] = word;
  std::string texts;
  texts.reserve(texts_.size());
  std::vector<std::uint64_t> start{0};
  start.reserve(start_.size());
  for (const Word word : old) {
    texts += text(word);
    start.push_back(texts.size());
  }
  texts_.swap(texts);
  start_.swap(start);
  for (Slot& slot : slots_) {
    if (slot.word != kUnknown) slot.word = numbers[slot.word];
  }
}

std::size_t Dictionary::bytes() const {
  return texts_.capacity() + start_.capacity() * sizeof(std::uint64_t) + slots_.capacity() * sizeof(Slot);
}

bool PairReader::next(std::vector<std::string_view>& first, std::vector<std::string_view>& second) {
  if (!lines_.next(line_)) return false;
  const bool separated = split_sides(line_, first, second);
  usable_ = !first.empty() && !second.empty();
  if (first.size() > kMostWords || second.size() > kMostWords) {
    throw UserError(lines_.where() + ": more than 2147483647 words on a side; split the line");
  }
  if (!usable_) {
    ++skipped_;
    no_separator_ += !separated;
    if (skipped_lines_.size() < 5) skipped_lines_.push_back(lines_.number());
  }
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

Corpus::Corpus(PairReader reader, Progress& progress) {
  std::vector<std::string_view> first_tokens, second_tokens;
  const auto add = [&reader](Side& side, const std::vector<std::string_view>& tokens) {
    if (reader.usable()) {
      for (const std::string_view token : tokens) side.words.push_back(side.dictionary.add(token));
    }
    side.start.push_back(side.words.size());
  };
  progress.start("reading", "lines", 0);
  while (reader.next(first_tokens, second_tokens)) {
    if (lines() % 65536 == 65535) progress.add(65536, 0);
    add(first, first_tokens);
    add(second, second_tokens);
  }
  if (lines() > 0xFFFFFFFFu) throw UserError("more than 4294967295 lines; split the text");
  skipped_ = reader.skipped();
  reader.report(progress.log());
  for (Side* side : {&first, &second}) {
    side->words.shrink_to_fit();
    side->start.shrink_to_fit();
    order_by_frequency(*side);
  }
}

std::size_t Corpus::bytes() const {
  std::size_t sum = 0;
  for (const Side* side : {&first, &second}) {
    sum += side->dictionary.bytes() + side->words.capacity() * sizeof(Word) + side->start.capacity() * 8;
  }
  return sum;
}

}  // namespace weam
