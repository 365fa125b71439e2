#include "options.hpp"

#include <algorithm>

#include "io.hpp"

namespace weam {

Options::Options(int argc, char** argv, const std::vector<Option>& known) : known_(known) {
  const auto find_letter = [&](char letter) {
    return std::find_if(known_.begin(), known_.end(), [&](const Option& o) { return o.letter == letter; });
  };
  const auto find_name = [&](const std::string& name) {  // the whole name, or a beginning that no other name has
    const auto exact = std::find_if(known_.begin(), known_.end(), [&](const Option& o) { return name == o.name; });
    if (exact != known_.end()) return exact;
    const auto begins = [&](const Option& o) { return std::string(o.name).compare(0, name.size(), name) == 0; };
    const auto first = std::find_if(known_.begin(), known_.end(), begins);
    return first == known_.end() || std::find_if(first + 1, known_.end(), begins) == known_.end() ? first : known_.end();
  };
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value_of = [&](const std::string& label) -> std::string {
      if (++i >= argc) throw UsageError("option " + label + " needs a value");
      return argv[i];
    };
    if (word.size() > 2 && word.compare(0, 2, "--") == 0) {
      const std::size_t equals = word.find('=');
      std::string name = word.substr(2, equals == std::string::npos ? std::string::npos : equals - 2);
      std::replace(name.begin(), name.end(), '-', '_');
      if (name == "help" || name == "version") {
        (name == "help" ? help_ : version_) = true;
        continue;
      }
      const auto option = find_name(name);
      if (option == known_.end()) throw UsageError("unknown option " + word.substr(0, equals));
      if (!option->value && equals != std::string::npos) throw UsageError("option --" + name + " takes no value");
      values_[option->letter] = !option->value               ? ""
                                : equals == std::string::npos ? value_of("--" + name)
                                                              : word.substr(equals + 1);
    } else if (word.size() > 1 && word[0] == '-') {
      for (std::size_t k = 1; k < word.size(); ++k) {
        const std::string label = std::string("-") + word[k];
        if (word[k] == 'h') {
          help_ = true;
          continue;
        }
        const auto option = find_letter(word[k]);
        if (option == known_.end()) throw UsageError("unknown option " + label);
        if (!option->value) {
          values_[word[k]] = "";
          continue;
        }
        values_[word[k]] = k + 1 < word.size() ? word.substr(k + 1) : value_of(label);
        break;
      }
    } else {
      throw UsageError("'" + word + "' is not an option; every value follows its option");
    }
  }
}

std::string Options::label(char letter) const {
  for (const Option& option : known_) {
    if (option.letter == letter) return std::string("-") + letter + " (--" + option.name + ")";
  }
  return std::string("-") + letter;
}

std::string Options::text(char letter, const std::string& otherwise) const {
  const auto found = values_.find(letter);
  return found == values_.end() ? otherwise : found->second;
}

std::string Options::required(char letter) const {
  if (text(letter).empty()) throw UsageError("option " + label(letter) + " is required");
  return text(letter);
}

double Options::number(char letter, double otherwise, double low, double high) const {
  if (!has(letter)) return otherwise;
  double value = 0;
  if (!parse_number(text(letter), value) || value < low || value > high) {
    const std::string range = high < 1e300 ? "from " + to_text(low, 6) + " to " + to_text(high, 6)
                                           : "of at least " + to_text(low, 6);
    throw UsageError("option " + label(letter) + " is '" + text(letter) + "', it must be a number " +
                     (low < -1e300 ? "up to " + to_text(high, 6) : range));
  }
  return value;
}

unsigned Options::count(char letter, unsigned otherwise, unsigned low) const {
  if (!has(letter)) return otherwise;
  std::uint32_t value = 0;
  if (!parse_number(text(letter), value) || value < low) {
    throw UsageError("option " + label(letter) + " is '" + text(letter) + "', it must be a whole number of at least " +
                     std::to_string(low));
  }
  return value;
}

std::string describe(const std::vector<Option>& known) {
  std::string lines;
  for (const Option& option : known) {
    std::string left = std::string("  -") + option.letter + ", --" + option.name;
    if (option.value) left += std::string(" ") + option.value;
    left.resize(std::max<std::size_t>(left.size() + 2, 38), ' ');
    lines += left + option.help + "\n";
  }
  lines += "  -h, --help                          this text\n      --version                       name and version\n";
  return lines;
}

}  // namespace weam
