#include "io.hpp"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace weam {

LineReader::LineReader(const std::string& path) : name_(path == "-" ? "standard input" : path) {
  if (path == "-") {
    stream_ = &std::cin;
    return;
  }
  errno = 0;
  file_.open(path, std::ios::in | std::ios::binary);
  if (file_) file_.peek();  // a directory opens well and fails at the first read
  if (!file_ && !file_.eof()) {
    throw UserError(path + ": cannot be read (" + (errno ? std::strerror(errno) : "not a file") + "); check the path");
  }
  file_.clear();
  stream_ = &file_;
}

bool LineReader::next(std::string& line) {
  if (!std::getline(*stream_, line)) {
    if (stream_->bad()) throw UserError(name_ + ": reading stopped after line " + std::to_string(number_));
    return false;
  }
  ++number_;
  if (number_ == 1 && line.compare(0, 3, "\xEF\xBB\xBF") == 0) line.erase(0, 3);
  if (!line.empty() && line.back() == '\r') line.pop_back();
  return true;
}

std::string LineReader::where() const { return name_ + ", line " + std::to_string(number_); }

void split_tokens(std::string_view line, std::vector<std::string_view>& tokens) {
  tokens.clear();
  std::size_t start = 0;
  for (std::size_t i = 0; i <= line.size(); ++i) {
    if (i == line.size() || line[i] == ' ' || line[i] == '\t') {
      if (i > start) tokens.push_back(line.substr(start, i - start));
      start = i + 1;
    }
  }
}

bool split_sides(std::string_view line, std::vector<std::string_view>& source, std::vector<std::string_view>& target) {
  split_tokens(line, source);
  target.clear();
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == "|||") {
      target.assign(source.begin() + static_cast<std::ptrdiff_t>(i) + 1, source.end());
      source.resize(i);
      return true;
    }
  }
  const std::size_t tab = line.find('\t');
  if (tab == std::string_view::npos) {
    source.clear();
    return false;
  }
  split_tokens(line.substr(0, tab), source);
  split_tokens(line.substr(tab + 1), target);
  return true;
}

bool parse_number(std::string_view text, double& value) {
  // std::from_chars for doubles came late to compilers; the programs never leave the "C" locale, so strtod is exact.
  if (text.empty() || text.find_first_not_of("0123456789+-.eE") != std::string_view::npos) return false;
  const std::string copy(text);
  char* end = nullptr;
  value = std::strtod(copy.c_str(), &end);
  return end == copy.c_str() + copy.size() && std::isfinite(value);
}

bool parse_number(std::string_view text, std::uint32_t& value) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && result.ec == std::errc() && result.ptr == text.data() + text.size();
}

std::string to_text(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
  return buffer;
}

void finish_output() {
  std::cout.flush();
  if (!std::cout) throw UserError("standard output cannot be written; is the disk full?");
}

int guarded(const char* name, int (*body)(int, char**), int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  try {
    const int status = body(argc, argv);
    finish_output();
    return status;
  } catch (const UsageError& error) {
    std::cerr << name << ": error: " << error.what() << "; see " << name << " --help\n";
    return 2;
  } catch (const UserError& error) {
    std::cerr << name << ": error: " << error.what() << '\n';
  } catch (const std::length_error&) {
    std::cerr << name << ": error: a line or a table is longer than memory can hold\n";
  } catch (const std::bad_alloc&) {
    std::cerr << name << ": error: out of memory; give the program more, or align fewer lines\n";
  } catch (const std::exception& error) {
    std::cerr << name << ": error: " << error.what() << '\n';
  }
  return 1;
}

}  // namespace weam
