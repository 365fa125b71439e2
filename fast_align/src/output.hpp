// Lines of links, made by several threads and written in order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "io.hpp"
#include "parallel.hpp"

namespace weam {

// A file, or standard output for "-". finish() throws UserError if anything could not be written.
class Sink {
 public:
  explicit Sink(const std::string& path);
  void write(const std::string& text) { *stream_ << text; }
  void finish();

 private:
  std::string name_;
  std::unique_ptr<std::ofstream> file_;
  std::ostream* stream_;
};

// make(line, texts) appends one line to each of the texts, one per sink; line = 0..lines-1.
template <typename Make>
void write_lines(unsigned threads, std::size_t lines, std::vector<Sink>& sinks, Make make) {
  constexpr std::size_t kBlock = 1024;
  const std::size_t batch = kBlock * 4 * threads;
  for (std::size_t start = 0; start < lines; start += batch) {
    const std::size_t end = std::min(lines, start + batch);
    std::vector<std::vector<std::string>> texts((end - start + kBlock - 1) / kBlock, std::vector<std::string>(sinks.size()));
    for_each_task(threads, texts.size(), [&](unsigned, std::size_t block) {
      const std::size_t first = start + block * kBlock;
      for (std::size_t line = first; line < std::min(end, first + kBlock); ++line) make(line, texts[block]);
    });
    for (const std::vector<std::string>& block : texts) {
      for (std::size_t k = 0; k < sinks.size(); ++k) sinks[k].write(block[k]);
    }
  }
}

}  // namespace weam
