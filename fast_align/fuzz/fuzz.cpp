// Fuzz targets: the parser with a short training, and the loader of saved models with their use.
//
// For libFuzzer: clang++ -fsanitize=fuzzer,address,undefined. With WEAM_OWN_FUZZER defined (any compiler) there is a main
// function that mutates seeds for some seconds:  fuzz SECONDS SEED-FILE...   It prints the number of inputs; what went wrong is
// reported by the sanitizers, with the input in ./fuzz.crash.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include "model_file.hpp"
#include "train.hpp"

namespace weam {
namespace {

// A pair of lines in the words of any text.
template <typename Real>
void use(const Model<Real>& model, const Dictionary& source, const Dictionary& target) {
  std::vector<Word> words, others;
  for (Word word = 0; word < std::min<std::size_t>(source.size(), 20); ++word) words.push_back(word);
  for (Word word = 0; word < std::min<std::size_t>(target.size(), 20); ++word) others.push_back(word);
  others.push_back(kUnknown);
  model.align({words.data(), static_cast<std::uint32_t>(words.size())}, {others.data(), static_cast<std::uint32_t>(others.size())});
}

void require(bool holds, const char* sentence) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", sentence);
  std::abort();
}

void try_text(const std::string& text) {
  std::istringstream stream(text);
  std::ostringstream log;
  Progress progress(log, false);
  const Corpus corpus(PairReader(stream, "text"), progress);
  std::uint64_t work = 0;
  for (std::size_t k = 0; k < corpus.lines(); ++k) work += std::uint64_t{corpus.first.line(k).size} * corpus.second.line(k).size;
  if (work > 200000) return;
  Settings settings;
  settings.iterations = 3;
  settings.favor_diagonal = settings.optimize_tension = settings.variational_bayes = text.size() % 2 == 0;
  settings.use_null = text.size() % 3 > 0;
  Trainer<float> one(corpus.first, corpus.second, settings, 1, progress), three(corpus.first, corpus.second, settings, 3, progress);
  one.train();
  three.train();
  const auto links = one.link(nullptr);
  require(links == three.link(nullptr), "the links depend on the number of threads");
  require(std::isfinite(one.model().settings.tension), "the tension is no number");
  std::stringstream file;
  save_model(file, corpus.first.dictionary, corpus.second.dictionary, &one.model(), nullptr);
  const SavedModel saved = load_model(file, "model");
  for (std::size_t k = 0; k < corpus.lines(); ++k) {
    const Alignment alignment = saved.forward->align(corpus.first.line(k), corpus.second.line(k));
    require(std::equal(alignment.links.begin(), alignment.links.end(),
                       links.begin() + static_cast<std::ptrdiff_t>(corpus.second.start[k])),
            "a saved model has other links than training");
  }
}

void try_model(std::string data) {
  for (const bool repaired : {false, true}) {
    if (repaired) {  // a right checksum, so that the rest of the file is used
      if (data.size() < sizeof(std::uint64_t)) return;
      const std::uint64_t sum = checksum(data.data(), data.size() - sizeof(std::uint64_t));
      std::memcpy(&data[data.size() - sizeof sum], &sum, sizeof sum);
    }
    std::istringstream stream(data);
    try {
      const SavedModel model = load_model(stream, "model");
      if (model.forward) use(*model.forward, model.first, model.second);
      if (model.reverse) use(*model.reverse, model.second, model.first);
    } catch (const UserError&) {
    }
  }
}

}  // namespace
}  // namespace weam

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  weam::try_text(text);
  weam::try_model(text);
  return 0;
}

#ifdef WEAM_OWN_FUZZER
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <random>

namespace {

std::string mutate(std::string data, const std::string& other, std::mt19937_64& random) {
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % std::max<std::size_t>(bound, 1)); };
  for (std::size_t k = 1 + below(6); k > 0; --k) {
    const std::size_t place = below(data.size());
    switch (random() % 7) {
      case 0:
        if (!data.empty()) data[place] = static_cast<char>(random());
        break;
      case 1:
        if (!data.empty()) data[place] = static_cast<char>(data[place] ^ (1 << below(8)));
        break;
      case 2:
        data.erase(place, below(16));
        break;
      case 3:
        data.insert(place, data.substr(below(data.size()), below(32)));
        break;
      case 4:
        data.resize(below(data.size() + 1));
        break;
      case 5:
        data.insert(place, std::string("\n\t \0\r|||\xEF\xBB\xBF", 11).substr(below(11), 1 + below(3)));
        break;
      default:
        data = data.substr(0, place) + other.substr(std::min(below(other.size()), other.size()));
    }
  }
  return data;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: fuzz SECONDS SEED-FILE...\n";
    return 2;
  }
  std::vector<std::string> inputs;
  for (int k = 2; k < argc; ++k) {
    std::ifstream file(argv[k], std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::mt19937_64 random(1);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::stoi(argv[1]));
  std::size_t count = 0;
  for (; std::chrono::steady_clock::now() < end; ++count) {
    const std::string& seed = inputs[random() % inputs.size()];
    const std::string input = count < inputs.size() ? inputs[count] : mutate(seed, inputs[random() % inputs.size()], random);
    std::ofstream("fuzz.crash", std::ios::binary) << input;
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
    if (input.size() < 20000 && random() % 50 == 0 && inputs.size() < 500) inputs.push_back(input);
  }
  std::remove("fuzz.crash");
  std::cout << count << " inputs\n";
}
#endif
