// fast_align: word alignment of parallel text. See --help.
#include <fstream>
#include <iostream>
#include <limits>

#include "model.hpp"
#include "options.hpp"
#include "version.hpp"

namespace weam {
namespace {

constexpr double kHuge = std::numeric_limits<double>::max();

const std::vector<Option> kOptions = {
    {'i', "input", "FILE", "parallel text, 'source ||| target' per line; - is standard input"},
    {'d', "favor_diagonal", nullptr, "prefer links near the diagonal (recommended)"},
    {'o', "optimize_tension", nullptr, "fit how strongly the diagonal is preferred (recommended)"},
    {'v', "variational_bayes", nullptr, "sparse Dirichlet prior on translation probabilities (recommended)"},
    {'r', "reverse", nullptr, "predict the source from the target; links stay source-target"},
    {'I', "iterations", "N", "EM iterations, the last one only aligns (5)"},
    {'q', "p0", "P", "prior probability of aligning to nothing (0.08)"},
    {'N', "no_null_word", nullptr, "every target word gets a link"},
    {'a', "alpha", "A", "concentration of the Dirichlet prior (0.01)"},
    {'T', "diagonal_tension", "T", "strength of the diagonal prior at the start, 0.1 to 14 (4)"},
    {'s', "print_scores", nullptr, "write 'links ||| log-probability' on each line"},
    {'p', "conditional_probabilities", "FILE", "save the table, and its tension and length ratio to FILE.params"},
    {'t', "beam_threshold", "L", "with -p: leave out entries this far below the best, e.g. -4 (all are kept)"},
    {'f', "force_align", "FILE", "align with a saved table, line by line, without training"},
    {'m', "mean_srclen_multiplier", "M", "with -f: expected target length / source length, for the score"},
    {'b', "thread_buffer_size", "N", "accepted for compatibility, without effect"},
};

const char kHelp[] =
    "usage: fast_align -i FILE -d -o -v > links\n"
    "\n"
    "Aligns the words of parallel sentences (Dyer, Chahuneau and Smith 2013) and writes one line of links 'i-j i-j ...'\n"
    "(0-based, source first) per line of input. Words are separated by spaces, the two sides by ' ||| ' or a TAB.\n"
    "\n"
    "examples:\n"
    "  fast_align -i text.en-de -d -o -v > forward           each German word gets at most one English word\n"
    "  fast_align -i text.en-de -d -o -v -r > reverse        each English word gets at most one German word\n"
    "  atools -i forward -j reverse -c grow-diag-final-and   both together\n"
    "  fast_align -i text.en-de -dov -p table > links        save the model ...\n"
    "  fast_align -i new.en-de -d -f table                   ... and use it: 'source ||| target ||| links ||| score'\n"
    "\n"
    "options (value in brackets: the default):\n";

Settings settings_from(const Options& options) {
  Settings settings;
  settings.iterations = options.count('I', settings.iterations, 1);
  settings.favor_diagonal = options.has('d');
  settings.optimize_tension = options.has('o');
  settings.variational_bayes = options.has('v');
  settings.use_null = !options.has('N');
  settings.null_probability = options.number('q', settings.null_probability, 0, 0.999999);
  settings.alpha = options.number('a', settings.alpha, 1e-12, kHuge);
  settings.tension = options.number('T', settings.tension, kMinTension, kMaxTension);
  settings.length_ratio = options.number('m', settings.length_ratio, 1e-12, kHuge);
  return settings;
}

// The tension and the length ratio belong to a saved table but have no place in its lines, which other tools read.
void save_parameters(const std::string& path, const Settings& settings) {
  std::ofstream file(path);
  file << "tension " << to_text(settings.tension, 17) << "\nlength_ratio " << to_text(settings.length_ratio, 17) << '\n';
  file.close();
  if (!file) throw UserError(path + ": cannot be written; check the folder and the disk");
}

void load_parameters(const std::string& path, const Options& options, Settings& settings) {
  if (!std::ifstream(path)) return;  // a table of another program: -T and -m, or their defaults
  LineReader lines(path);
  std::string line;
  std::vector<std::string_view> fields;
  while (lines.next(line)) {
    split_tokens(line, fields);
    double value = 0;
    if (fields.size() != 2 || !parse_number(fields[1], value) || !(value > 0)) {
      throw UserError(lines.where() + ": not 'name number'; delete the file and give -T and -m");
    }
    if (fields[0] == "tension" && !options.has('T')) settings.tension = value;
    if (fields[0] == "length_ratio" && !options.has('m')) settings.length_ratio = value;
  }
}

void print_tokens(const std::vector<std::string_view>& tokens) {
  for (const std::string_view token : tokens) std::cout << token << ' ';
}

// One answer per question, at once: the program may be driven through a pipe.
int force_align(const Options& options) {
  Settings settings = settings_from(options);
  load_parameters(options.text('f') + ".params", options, settings);
  Dictionary words;
  const Model model(settings, Table(options.text('f'), words));
  PairReader reader(options.required('i'), options.has('r'));
  std::vector<Word> source, target;
  Alignment alignment;
  while (reader.next(words, source, target)) {
    alignment = Alignment();
    if (!source.empty()) {
      model.align({source.data(), static_cast<std::uint32_t>(source.size())},
                  {target.data(), static_cast<std::uint32_t>(target.size())}, alignment);
    }
    print_tokens(reader.first_side());
    std::cout << "||| ";
    print_tokens(reader.second_side());
    std::cout << "||| " << pharaoh(alignment, options.has('r')) << " ||| " << to_text(alignment.score, 6) << '\n';
    finish_output();
  }
  reader.report(std::cerr);
  return 0;
}

int train_and_align(const Options& options) {
  const Settings settings = settings_from(options);
  const Corpus corpus(options.required('i'), options.has('r'), std::cerr);
  Model model(settings, Table(corpus, settings.use_null));
  std::cerr << corpus.lines() << " lines, " << corpus.source_words() << " words predict " << corpus.target_words()
            << ", table of " << model.table().size() << " entries\n";
  model.train(corpus, std::cerr);
  std::cerr << "ITERATION " << settings.iterations << " (FINAL)\n";
  double log_likelihood = 0;
  Alignment alignment;
  for (std::size_t line = 0; line < corpus.lines(); ++line) {
    if (corpus.source(line).size > 0) {
      model.align(corpus.source(line), corpus.target(line), alignment);
      std::cout << pharaoh(alignment, options.has('r'));
      if (options.has('s')) std::cout << " ||| " << to_text(alignment.score, 6);
      log_likelihood += alignment.log_likelihood;
    }
    std::cout << '\n';
  }
  if (corpus.pairs() > 0) report_likelihood(log_likelihood, corpus.target_words(), std::cerr);
  if (options.has('p')) {
    const double beam = options.number('t', -kHuge, -kHuge, 0);
    model.table().save(options.required('p'), corpus.words(), beam);
    save_parameters(options.text('p') + ".params", model.settings());
  }
  return 0;
}

int run(int argc, char** argv) {
  const Options options(argc, argv, kOptions);
  if (options.help() || argc == 1) {
    (argc == 1 ? std::cerr : std::cout) << kHelp << describe(kOptions);
    return argc == 1 ? 2 : 0;
  }
  if (options.version()) {
    std::cout << "fast_align (WEAM) " << kVersion << '\n';
    return 0;
  }
  options.required('i');
  options.number('t', 0, -kHuge, 0);
  options.count('b', 1, 1);
  if (options.has('f') && options.has('p')) throw UsageError("-f uses a saved table and -p saves one; give one of them");
  if (options.has('m') && !options.has('f')) {
    std::cerr << "warning: -m has an effect only with -f; in training the ratio is measured\n";
  }
  return options.has('f') ? force_align(options) : train_and_align(options);
}

}  // namespace
}  // namespace weam

int main(int argc, char** argv) { return weam::guarded("fast_align", weam::run, argc, argv); }
