// Reading lines and numbers strictly, and the one exception type that users see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace weam {

// A fault in the input; the text is one sentence. The programs print it and exit with 1.
struct UserError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A fault in the command line; exit status 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Lines of a file, or of standard input if the path is "-". A byte order mark at the start and a carriage return at the
// end of a line are dropped; all other bytes pass through. A last line without a line feed counts.
class LineReader {
 public:
  explicit LineReader(const std::string& path);
  LineReader(std::istream& stream, const std::string& name) : stream_(&stream), name_(name) {}
  LineReader(const LineReader&) = delete;  // the stream may be the file inside
  LineReader& operator=(const LineReader&) = delete;
  bool next(std::string& line);                          // false at the end; throws UserError on a read fault
  std::size_t number() const { return number_; }         // 1-based number of the line read last
  const std::string& name() const { return name_; }      // for messages
  std::string where() const;                             // "FILE, line N"

 private:
  std::ifstream file_;
  std::istream* stream_;
  std::string name_;
  std::size_t number_ = 0;
};

// Tokens of a line; only space and TAB separate. The views point into the line.
void split_tokens(std::string_view line, std::vector<std::string_view>& tokens);

// The two sides of "source ||| target". The first token "|||" separates; without one, the first TAB does. Returns false
// (both sides empty) if the line has no separator.
bool split_sides(std::string_view line, std::vector<std::string_view>& source, std::vector<std::string_view>& target);

// The whole text as a finite number; false if it is anything else. Independent of the locale.
bool parse_number(std::string_view text, double& value);
bool parse_number(std::string_view text, std::uint32_t& value);

// A double with `digits` significant digits.
std::string to_text(double value, int digits);

// Flush standard output; throws UserError if anything could not be written, as on a full disk.
void finish_output();

// Print "NAME: error: SENTENCE" for what `body` throws and return the exit status (0, 1 or 2).
int guarded(const char* name, int (*body)(int, char**), int argc, char** argv);

}  // namespace weam
