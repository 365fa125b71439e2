// The command line: short options (alone, bundled as in -dov, or with a value as in -I5) and long ones (--iterations 5 or
// --iterations=5; '-' and '_' are the same).
#pragma once

#include <map>
#include <string>
#include <vector>

namespace weam {

struct Option {
  char letter;
  const char* name;   // long name, with '_'
  const char* value;  // name of the value in --help; nullptr for a switch
  const char* help;
};

class Options {
 public:
  // Throws UsageError for what is not in `known`, a missing value, or a stray word. --help and --version need not be listed.
  Options(int argc, char** argv, const std::vector<Option>& known);

  bool help() const { return help_; }
  bool version() const { return version_; }
  bool has(char letter) const { return values_.count(letter) > 0; }
  std::string text(char letter, const std::string& otherwise = "") const;
  std::string required(char letter) const;
  double number(char letter, double otherwise, double low, double high) const;  // low <= value <= high or UsageError
  unsigned count(char letter, unsigned otherwise, unsigned low) const;          // whole number >= low or UsageError

 private:
  std::string label(char letter) const;
  std::vector<Option> known_;
  std::map<char, std::string> values_;
  bool help_ = false, version_ = false;
};

// The table of options as lines for --help.
std::string describe(const std::vector<Option>& known);

}  // namespace weam
