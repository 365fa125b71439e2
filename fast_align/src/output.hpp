// Files that appear only when they are complete, and lines of links made by several threads and written in order.
#pragma once

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <string>
#include <vector>

#include "io.hpp"
#include "parallel.hpp"

namespace weam {

// A file to be written. It grows as PATH.part, which is made at once, so that an unwritable folder is known before the work
// starts, and is renamed by commit(); without that it is removed. What is no regular file (a pipe, /dev/null) is written
// directly; "-" is standard output. Throws UserError if it cannot be opened or written.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  std::ostream& stream();
  void finish();  // everything has been written
  void commit();  // after finish() of all files that belong together

 private:
  std::string name_, target_, part_;  // part_ is empty if nothing is to be renamed
  std::ofstream file_;
  bool standard_output_ = false;
};

// finish() of all, then commit() of all.
void complete(std::vector<OutputFile>& files);

// make(line, texts) appends one line to each of the texts, one per file; line = 0..lines-1.
template <typename Make>
void write_lines(unsigned threads, std::size_t lines, std::vector<OutputFile>& files, Make make) {
  constexpr std::size_t kBlock = 256;
  const std::size_t batch = kBlock * 16 * threads;
  for (std::size_t start = 0; start < lines; start += batch) {
    const std::size_t end = std::min(lines, start + batch);
    std::vector<std::vector<std::string>> texts((end - start + kBlock - 1) / kBlock, std::vector<std::string>(files.size()));
    for_each_task(threads, texts.size(), [&](unsigned, std::size_t block) {
      const std::size_t first = start + block * kBlock;
      for (std::size_t line = first; line < std::min(end, first + kBlock); ++line) make(line, texts[block]);
    });
    for (const std::vector<std::string>& block : texts) {
      for (std::size_t k = 0; k < files.size(); ++k) files[k].stream() << block[k];
    }
  }
}

}  // namespace weam
