#include "model_file.hpp"

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace weam {

namespace {

constexpr std::array<char, 8> kMagic = {'W', 'E', 'A', 'M', 'F', 'A', 1, '\n'};
constexpr std::uint32_t kByteOrder = 0x01020304u;
constexpr std::uint32_t kForward = 1, kReverse = 2, kDiagonal = 1, kNullWord = 2;

class Checksum {
 public:
  void add(const char* data, std::size_t size) {
    std::size_t k = 0;
    while (count_ % 8 == 0 && size - k >= 8) {  // whole blocks; little-endian like everything in the file
      std::memcpy(&block_, data + k, 8);
      count_ += 8;
      k += 8;
      mix();
    }
    for (; k < size; ++k) {
      block_ |= static_cast<std::uint64_t>(static_cast<unsigned char>(data[k])) << (8 * (count_++ % 8));
      if (count_ % 8 == 0) mix();
    }
  }
  std::uint64_t value() {
    mix();
    return state_ ^ count_;
  }

 private:
  void mix() {
    state_ = (state_ ^ block_) * 0x9e3779b97f4a7c15u;
    state_ ^= state_ >> 32;
    block_ = 0;
  }
  std::uint64_t state_ = 0x8f3a5c1d2b4e6f70u, block_ = 0, count_ = 0;
};

class Writer {
 public:
  explicit Writer(std::ostream& stream) : stream_(stream) {}
  template <typename Value>
  void put(Value value) {
    put_all(&value, 1);
  }
  template <typename Value>
  void put_all(const Value* values, std::size_t count) {
    const char* data = reinterpret_cast<const char*>(values);
    stream_.write(data, static_cast<std::streamsize>(count * sizeof(Value)));
    checksum_.add(data, count * sizeof(Value));
  }
  void finish() {
    const std::uint64_t sum = checksum_.value();
    stream_.write(reinterpret_cast<const char*>(&sum), sizeof sum);
  }

 private:
  std::ostream& stream_;
  Checksum checksum_;
};

std::string unreadable(const std::string& name) {
  return name + ": cannot be read (" + (errno ? std::strerror(errno) : "not a file") + "); check the path";
}

// Never asks for more memory than the file has bytes.
class Reader {
 public:
  Reader(std::istream& stream, const std::string& name) : stream_(stream) {
    stream_.seekg(0, std::ios::end);
    const auto size = stream_.tellg();
    stream_.seekg(0);
    if (!stream_ || size < 0) throw UserError(unreadable(name));
    left_ = static_cast<std::uint64_t>(size);
  }
  template <typename Value>
  Value get() {
    Value value;
    read(&value, 1);
    return value;
  }
  template <typename Value>
  std::vector<Value> get_all(std::uint64_t count) {
    if (count > left_ / sizeof(Value)) throw std::runtime_error("it is cut off");
    std::vector<Value> values(count);
    read(values.data(), count);
    return values;
  }
  void finish() {
    const std::uint64_t expected = checksum_.value();
    if (left_ != sizeof expected) throw std::runtime_error(left_ < sizeof expected ? "it is cut off" : "something follows its end");
    if (get<std::uint64_t>() != expected) throw std::runtime_error("its checksum is wrong");
  }

 private:
  template <typename Value>
  void read(Value* values, std::uint64_t count) {
    if (count > left_ / sizeof(Value)) throw std::runtime_error("it is cut off");
    char* data = reinterpret_cast<char*>(values);
    stream_.read(data, static_cast<std::streamsize>(count * sizeof(Value)));
    if (!stream_) throw std::runtime_error("reading stopped");
    left_ -= count * sizeof(Value);
    checksum_.add(data, count * sizeof(Value));
  }
  std::istream& stream_;
  std::uint64_t left_ = 0;
  Checksum checksum_;
};

void put_words(Writer& out, const Dictionary& words) {
  std::vector<std::uint32_t> lengths;
  std::string texts;
  for (Word word = 0; word < words.size(); ++word) {
    lengths.push_back(static_cast<std::uint32_t>(words.text(word).size()));
    texts += words.text(word);
  }
  out.put(std::uint64_t{lengths.size()});
  out.put(std::uint64_t{texts.size()});
  out.put_all(lengths.data(), lengths.size());
  out.put_all(texts.data(), texts.size());
}

Dictionary get_words(Reader& in) {
  const auto count = in.get<std::uint64_t>(), size = in.get<std::uint64_t>();
  const auto lengths = in.get_all<std::uint32_t>(count);
  const auto texts = in.get_all<char>(size);
  Dictionary words;
  std::uint64_t place = 0;
  for (std::uint64_t k = 0; k < count; ++k) {
    if (lengths[k] > size - place) throw std::runtime_error("its words are cut off");
    const Word word = words.add(std::string_view(texts.data() + place, lengths[k]));
    if (word != k) throw std::runtime_error("its words are not in order");
    place += lengths[k];
  }
  if (count == 0 || place != size) throw std::runtime_error("its words do not fit their lengths");
  return words;
}

void put_model(Writer& out, const Model<float>& model) {
  const Settings& settings = model.settings;
  out.put((settings.favor_diagonal ? kDiagonal : 0) | (settings.use_null ? kNullWord : 0));
  for (const double value : {settings.tension, settings.length_ratio, settings.null_probability}) out.put(value);
  std::uint64_t bytes = 0;
  model.rows.for_each_chunk([&](const std::uint8_t*, std::size_t size, const float*, std::size_t) { bytes += size; });
  out.put(std::uint64_t{model.rows.rows()});
  out.put(bytes);
  out.put(model.rows.entries());
  out.put_all(model.rows.sizes().data(), model.rows.rows());
  model.rows.for_each_chunk(
      [&](const std::uint8_t* data, std::size_t size, const float*, std::size_t) { out.put_all(data, size); });
  model.rows.for_each_chunk(
      [&](const std::uint8_t*, std::size_t, const float* data, std::size_t size) { out.put_all(data, size); });
}

std::unique_ptr<Model<float>> get_model(Reader& in, std::size_t source_words, std::size_t target_words) {
  auto model = std::make_unique<Model<float>>();
  Settings& settings = model->settings;
  const auto flags = in.get<std::uint32_t>();
  settings.favor_diagonal = flags & kDiagonal;
  settings.use_null = flags & kNullWord;
  for (double* value : {&settings.tension, &settings.length_ratio, &settings.null_probability}) *value = in.get<double>();
  if (!(settings.tension >= kMinTension && settings.tension <= kMaxTension && settings.length_ratio > 0 &&
        std::isfinite(settings.length_ratio) && settings.null_probability >= 0 && settings.null_probability < 1)) {
    throw std::runtime_error("its settings are out of range");
  }
  const auto rows = in.get<std::uint64_t>(), bytes = in.get<std::uint64_t>(), entries = in.get<std::uint64_t>();
  if (rows != source_words) throw std::runtime_error("its rows are not those of its words");
  auto sizes = in.get_all<std::uint32_t>(rows);
  auto data = in.get_all<std::uint8_t>(bytes);
  auto probabilities = in.get_all<float>(entries);
  model->rows = Rows<float>::from_parts(std::move(sizes), std::move(data), std::move(probabilities), target_words);
  return model;
}

}  // namespace

void save_model(std::ostream& stream, const Dictionary& first, const Dictionary& second, const Model<float>* forward,
                const Model<float>* reverse) {
  Writer out(stream);
  out.put_all(kMagic.data(), kMagic.size());
  out.put(kByteOrder);
  out.put((forward ? kForward : 0) | (reverse ? kReverse : 0));
  put_words(out, first);
  put_words(out, second);
  if (forward) put_model(out, *forward);
  if (reverse) put_model(out, *reverse);
  out.finish();
}

SavedModel load_model(std::istream& stream, const std::string& name) {
  Reader in(stream, name);
  try {
    if (in.get_all<char>(kMagic.size()) != std::vector<char>(kMagic.begin(), kMagic.end())) {
      throw std::runtime_error("it does not start like one");
    }
    if (in.get<std::uint32_t>() != kByteOrder) throw std::runtime_error("it was written on another kind of processor");
    const auto directions = in.get<std::uint32_t>();
    if (directions < 1 || directions > (kForward | kReverse)) throw std::runtime_error("it holds no direction");
    SavedModel model{get_words(in), get_words(in), nullptr, nullptr};
    if (directions & kForward) model.forward = get_model(in, model.first.size(), model.second.size());
    if (directions & kReverse) model.reverse = get_model(in, model.second.size(), model.first.size());
    in.finish();
    return model;
  } catch (const std::runtime_error& error) {
    if (dynamic_cast<const UserError*>(&error)) throw;
    throw UserError(name + ": not a model of this program (" + error.what() + "); write one with --save-model");
  }
}

SavedModel load_model(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (file) file.peek();  // a directory opens well and fails at the first read
  if (!file && !file.eof()) throw UserError(unreadable(path));
  file.clear();
  return load_model(file, path);
}

std::uint64_t checksum(const char* data, std::size_t size) {
  Checksum sum;
  sum.add(data, size);
  return sum.value();
}

}  // namespace weam
