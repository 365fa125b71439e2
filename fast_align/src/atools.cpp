// atools: one set of links from a forward and a reverse alignment. See --help.
#include <iostream>

#include "io.hpp"
#include "options.hpp"
#include "symmetrise.hpp"
#include "version.hpp"

namespace weam {
namespace {

const std::vector<Option> kOptions = {
    {'i', "input_1", "FILE", "links of the forward direction"},
    {'j', "input_2", "FILE", "links of the reverse direction, written source-target as well"},
    {'c', "command", "NAME", "intersect, union, grow-diag, grow-diag-final or grow-diag-final-and"},
};

const char kHelp[] =
    "usage: atools -i FORWARD -j REVERSE -c grow-diag-final-and > links\n"
    "\n"
    "Joins two alignments of the same text, line by line, with the heuristics of Och and Ney (2003) and Koehn et al. (2005).\n"
    "Links are written i-j, 0-based, source first. With '-i - -j -' the lines of both come in turn on standard input, and\n"
    "each pair of lines is answered at once.\n"
    "\n"
    "examples:\n"
    "  atools -i forward -j reverse -c intersect             few links, most of them right\n"
    "  atools -i forward -j reverse -c grow-diag-final-and   most words are linked\n"
    "\n"
    "options:\n";

std::string one_sided(const LineReader& longer, const LineReader& shorter) {
  return longer.name() + " has a line " + std::to_string(longer.number()) + ", but " + shorter.name() + " ends after " +
         std::to_string(shorter.number()) + " lines; both must come from the same text";
}

void answer(const std::string& first, const std::string& where_first, const std::string& second,
            const std::string& where_second, Heuristic heuristic) {
  std::string text;
  append_links(symmetrise(parse_links(first, where_first), parse_links(second, where_second), heuristic), text);
  std::cout << text << '\n';
}

void join_files(const std::string& first_path, const std::string& second_path, Heuristic heuristic) {
  LineReader first(first_path), second(second_path);
  std::string first_line, second_line;
  while (true) {
    const bool more = first.next(first_line), more_second = second.next(second_line);
    if (more != more_second) throw UserError(more ? one_sided(first, second) : one_sided(second, first));
    if (!more) return;
    answer(first_line, first.where(), second_line, second.where(), heuristic);
  }
}

void join_in_turn(Heuristic heuristic) {
  LineReader lines("-");
  std::string first_line, second_line;
  while (lines.next(first_line)) {
    const std::string where = lines.where();
    if (!lines.next(second_line)) throw UserError(where + ": the line of the reverse direction is missing");
    answer(first_line, where, second_line, lines.where(), heuristic);
    finish_output();
  }
}

int run(int argc, char** argv) {
  const Options options(argc, argv, kOptions);
  if (options.help() || argc == 1) {
    (argc == 1 ? std::cerr : std::cout) << kHelp << describe(kOptions);
    return argc == 1 ? 2 : 0;
  }
  if (options.version()) {
    std::cout << "atools (WEAM) " << kVersion << '\n';
    return 0;
  }
  const std::string first = options.required('i'), second = options.required('j');
  const Heuristic heuristic = heuristic_named(options.required('c'));
  if (first == "-" && second == "-") {
    join_in_turn(heuristic);
  } else {
    join_files(first, second, heuristic);
  }
  return 0;
}

}  // namespace
}  // namespace weam

int main(int argc, char** argv) { return weam::guarded("atools", weam::run, argc, argv); }
