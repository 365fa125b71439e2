#include "output.hpp"

#include <cerrno>
#include <cstring>

namespace weam {

Sink::Sink(const std::string& path) : name_(path), stream_(&std::cout) {
  if (path == "-") return;
  errno = 0;
  file_ = std::make_unique<std::ofstream>(path, std::ios::binary);
  if (!*file_) throw UserError(path + ": cannot be written (" + std::strerror(errno) + "); check the folder");
  stream_ = file_.get();
}

void Sink::finish() {
  if (!file_) return finish_output();
  file_->close();
  if (!*file_) throw UserError(name_ + ": cannot be written; is the disk full?");
}

}  // namespace weam
