#include "output.hpp"

#include <stdlib.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <utility>

namespace weam {

namespace {

std::string reason() { return errno ? std::strerror(errno) : "unknown fault"; }

}  // namespace

OutputFile::OutputFile(const std::string& path) : name_(path), target_(path), standard_output_(path == "-") {
  if (standard_output_) return;
  struct stat status;
  const bool exists = stat(path.c_str(), &status) == 0;
  if (exists && S_ISREG(status.st_mode)) {
    if (char* real = realpath(path.c_str(), nullptr)) {  // what a link points to, not the link
      target_ = real;
      free(real);
    }
  }
  if (!exists || S_ISREG(status.st_mode)) part_ = target_ + ".part";
  errno = 0;
  file_.open(part_.empty() ? target_ : part_, std::ios::binary);
  if (!file_) {
    const std::string why = reason();
    part_.clear();
    throw UserError(name_ + ": cannot be written (" + why + "); check the folder");
  }
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : name_(std::move(other.name_)), target_(std::move(other.target_)), part_(std::exchange(other.part_, "")),
      file_(std::move(other.file_)), standard_output_(other.standard_output_) {}

OutputFile::~OutputFile() {
  if (part_.empty()) return;
  file_.close();
  std::remove(part_.c_str());
}

std::ostream& OutputFile::stream() { return standard_output_ ? std::cout : file_; }

void OutputFile::finish() {
  if (standard_output_) return finish_output();
  errno = 0;
  const bool good = file_.good();
  file_.close();
  if (!good || !file_) throw UserError(name_ + ": cannot be written completely; is the disk full?");
}

void OutputFile::commit() {
  if (part_.empty()) return;
  errno = 0;
  if (std::rename(part_.c_str(), target_.c_str()) != 0) throw UserError(name_ + ": cannot be written (" + reason() + ")");
  part_.clear();
}

void complete(std::vector<OutputFile>& files) {
  for (OutputFile& file : files) file.finish();
  for (OutputFile& file : files) file.commit();
}

}  // namespace weam
