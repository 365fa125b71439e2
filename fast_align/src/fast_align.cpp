// fast_align: word alignment of parallel text. See --help.
#include <unistd.h>

#include <iostream>
#include <limits>
#include <optional>
#include <sstream>

#include "model_file.hpp"
#include "options.hpp"
#include "output.hpp"
#include "symmetrise.hpp"
#include "text_table.hpp"
#include "train.hpp"
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
    {'B', "both", "PREFIX", "both directions at once: PREFIX.forward, PREFIX.reverse and those of --symmetrise"},
    {'c', "symmetrise", "NAMES", "with --both: heuristics of atools, by commas; each makes PREFIX.NAME"},
    {'I', "iterations", "N", "EM iterations, the last one only aligns (5)"},
    {'q', "p0", "P", "prior probability of aligning to nothing (0.08)"},
    {'N', "no_null_word", nullptr, "every target word gets a link"},
    {'a', "alpha", "A", "concentration of the Dirichlet prior (0.01)"},
    {'T', "diagonal_tension", "T", "strength of the diagonal prior at the start, 0.1 to 14 (4)"},
    {'s', "print_scores", nullptr, "write 'links ||| log-probability' on each line"},
    {'n', "threads", "N", "threads; the result does not depend on it (all processors)"},
    {'S', "save_model", "FILE", "save the trained model, both directions with --both"},
    {'A', "apply", "MODEL", "align with a saved model, without training"},
    {'D', "double", nullptr, "double precision, twice the memory; hardly any link changes"},
    {'E', "estimate", nullptr, "only print how much memory training needs, in MB"},
    {'x', "strict", nullptr, "fail where there would be a warning"},
    {'p', "conditional_probabilities", "FILE", "save the table as text, and its tension and length ratio to FILE.params"},
    {'t', "beam_threshold", "L", "with -p: leave out entries this far below the best, e.g. -4 (all are kept)"},
    {'f', "force_align", "FILE", "align with a table saved as text, line by line, without training"},
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
    "  fast_align -i text.en-de -dov > forward               each German word gets at most one English word\n"
    "  fast_align -i text.en-de -dov -r > reverse            each English word gets at most one German word\n"
    "  atools -i forward -j reverse -c grow-diag-final-and   both together\n"
    "  fast_align -i text.en-de -dov --both links --symmetrise grow-diag-final-and,intersect\n"
    "                                                        all of that in one run, reading the text once\n"
    "  fast_align -i text.en-de -dov --save-model de.model > forward\n"
    "  fast_align --apply de.model -i new.en-de > new.forward\n"
    "                                                        train once, align other text\n"
    "  fast_align -i text.en-de -dov -p table > links        the model as text, as other tools read it ...\n"
    "  fast_align -i new.en-de -d -f table                   ... and its use: 'source ||| target ||| links ||| score'\n"
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
  settings.alpha = options.number('a', settings.alpha, 1e-12, 1e6);
  settings.tension = options.number('T', settings.tension, kMinTension, kMaxTension);
  settings.length_ratio = options.number('m', settings.length_ratio, 1e-6, 1e6);
  return settings;
}

unsigned threads_from(const Options& options) {
  const unsigned processors = std::thread::hardware_concurrency();
  return std::min(options.count('n', processors > 0 ? processors : 1, 1), 1024u);
}

[[noreturn]] void refuse(std::size_t skipped) {
  throw UserError("--strict: " + std::to_string(skipped) + (skipped == 1 ? " line has" : " lines have") +
                  " no words on a side (see the warning above); mend the text or leave --strict away");
}

// -- writing links ---------------------------------------------------------------------------------------------------

// The files of links that a run makes: one direction on standard output, or all with --both.
struct Targets {
  std::vector<OutputFile> files;
  std::vector<Heuristic> heuristics;
  bool both = false, reversed = false, scores = false;
};

Targets open_targets(const Options& options) {
  Targets targets;
  targets.both = options.has('B');
  targets.reversed = options.has('r');
  targets.scores = options.has('s');
  if (!targets.both) {
    targets.files.emplace_back("-");
    return targets;
  }
  const std::string prefix = options.required('B');
  std::vector<std::string> names = {"forward", "reverse"};
  std::istringstream list(options.text('c'));
  for (std::string name; std::getline(list, name, ',');) {
    targets.heuristics.push_back(heuristic_named(name));
    names.push_back(name);
  }
  for (const std::string& name : names) targets.files.emplace_back(prefix + "." + name);
  return targets;
}

struct LineLinks {
  const std::uint32_t* links = nullptr;
  std::uint32_t size = 0;
  double score = 0;
};

Links pairs_of(const LineLinks& line, bool reversed) {
  Links links;
  for (std::uint32_t j = 0; j < line.size; ++j) {
    if (line.links[j] == 0) continue;
    const std::int64_t i = line.links[j] - std::int64_t{1};
    links.emplace_back(reversed ? j : i, reversed ? i : j);
  }
  sort_links(links);
  return links;
}

void append_one(const LineLinks& line, bool reversed, bool scores, bool empty, std::string& text) {
  append_pharaoh(line.links, line.size, reversed, text);
  if (scores && !empty) text += " ||| " + to_text(line.score, 6);
  text += '\n';
}

// Appends to each text what belongs there of one line. The links of a direction that was not asked for are empty.
void append_line(const Targets& targets, const LineLinks& forward, const LineLinks& reverse, bool empty,
                 std::vector<std::string>& texts) {
  if (!targets.both) {
    append_one(targets.reversed ? reverse : forward, targets.reversed, targets.scores, empty, texts[0]);
    return;
  }
  append_one(forward, false, targets.scores, empty, texts[0]);
  append_one(reverse, true, targets.scores, empty, texts[1]);
  if (targets.heuristics.empty()) return;
  const Links first = pairs_of(forward, false), second = pairs_of(reverse, true);
  for (std::size_t k = 0; k < targets.heuristics.size(); ++k) {
    append_links(symmetrise(first, second, targets.heuristics[k]), texts[k + 2]);
    texts[k + 2] += '\n';
  }
}

// -- training --------------------------------------------------------------------------------------------------------

struct Trained {
  std::vector<std::uint32_t> links;
  std::vector<double> scores;
};

// What is saved of a model: opened before the work starts. -p makes two files.
std::vector<OutputFile> open_saved(const Options& options) {
  std::vector<OutputFile> files;
  if (options.has('S')) files.emplace_back(options.text('S'));
  if (options.has('p')) {
    files.emplace_back(options.text('p'));
    files.emplace_back(options.text('p') + ".params");
  }
  return files;
}

template <typename Real>
Trained train_direction(const Corpus& corpus, bool reversed, const Options& options, Progress& progress,
                        std::vector<OutputFile>& saved, std::optional<Model<Real>>& model) {
  const Side& source = reversed ? corpus.second : corpus.first;
  const Side& target = reversed ? corpus.first : corpus.second;
  if (options.has('B')) progress.log() << (reversed ? "reverse" : "forward") << " direction\n";
  Trainer<Real> trainer(source, target, settings_from(options), threads_from(options), progress);
  progress.log() << corpus.lines() << " lines, " << source.words.size() << " words predict " << target.words.size()
                 << ", table of " << trainer.model().rows.entries() << " entries ("
                 << (corpus.bytes() + trainer.bytes()) / 1000000 << " MB in all)\n";
  trainer.train();
  Trained trained;
  trained.links = trainer.link(options.has('s') ? &trained.scores : nullptr);
  if (options.has('p')) {
    const double beam = options.number('t', -kHuge, -kHuge, 0);
    save_text_table(saved.end()[-2].stream(), saved.end()[-1].stream(), source.dictionary, target.dictionary,
                    trainer.model(), beam);
  }
  if (options.has('S')) model = std::move(trainer).take_model();
  return trained;
}

std::uint64_t estimate(const Corpus& corpus, const Options& options) {
  const std::size_t real = options.has('D') ? sizeof(double) : sizeof(float);
  const unsigned threads = threads_from(options);
  std::uint64_t most = 0;
  if (!options.has('r')) most = estimate_bytes(corpus.first, corpus.second, real, threads);
  if (options.has('r') || options.has('B')) {
    most = std::max(most, estimate_bytes(corpus.second, corpus.first, real, threads));
  }
  const std::uint64_t kept = options.has('B') ? corpus.second.words.size() * sizeof(std::uint32_t) : 0;
  return corpus.bytes() + most + kept;
}

template <typename Real>
int train_and_align(const Options& options) {
  Targets targets;
  std::vector<OutputFile> saved;
  if (!options.has('E')) {
    targets = open_targets(options);
    saved = open_saved(options);
  }
  Progress progress(std::cerr, isatty(STDERR_FILENO) != 0);
  const Corpus corpus(PairReader(options.required('i')), progress);
  if (options.has('x') && corpus.skipped() > 0) refuse(corpus.skipped());
  const std::uint64_t megabytes = estimate(corpus, options) / 1000000 + 1;
  if (options.has('E')) {
    std::cout << megabytes << '\n';
    return 0;
  }
  progress.log() << "memory: about " << megabytes << " MB\n";
  const bool both = targets.both, reversed = targets.reversed;
  std::optional<Model<Real>> forward_model, reverse_model;
  Trained forward, reverse;
  if (both || !reversed) forward = train_direction<Real>(corpus, false, options, progress, saved, forward_model);
  if (both || reversed) reverse = train_direction<Real>(corpus, true, options, progress, saved, reverse_model);
  const auto part = [](const Trained& trained, const Side& side, std::size_t line) -> LineLinks {
    if (trained.links.empty()) return {};
    return {trained.links.data() + side.start[line], side.line(line).size,
            trained.scores.empty() ? 0 : trained.scores[line]};
  };
  write_lines(threads_from(options), corpus.lines(), targets.files, [&](std::size_t line, std::vector<std::string>& texts) {
    append_line(targets, part(forward, corpus.second, line), part(reverse, corpus.first, line),
                corpus.first.line(line).size == 0, texts);
  });
  if constexpr (sizeof(Real) == sizeof(float)) {
    if (options.has('S')) {
      save_model(saved.front().stream(), corpus.first.dictionary, corpus.second.dictionary,
                 forward_model ? &*forward_model : nullptr, reverse_model ? &*reverse_model : nullptr);
    }
  }
  for (OutputFile& file : saved) targets.files.push_back(std::move(file));
  saved.clear();
  complete(targets.files);
  return 0;
}

// -- using a saved model ---------------------------------------------------------------------------------------------

int apply_model(const Options& options) {
  constexpr std::size_t kBatch = 16384;
  Targets targets = open_targets(options);
  Progress progress(std::cerr, isatty(STDERR_FILENO) != 0);
  const SavedModel model = load_model(options.required('A'));
  if ((targets.both || !targets.reversed) && !model.forward) {
    throw UserError(options.text('A') + ": holds the reverse direction only; give -r");
  }
  if ((targets.both || targets.reversed) && !model.reverse) {
    throw UserError(options.text('A') + ": holds the forward direction only; train it with --both to have the other");
  }
  PairReader reader(options.required('i'));
  std::vector<std::string_view> first_tokens, second_tokens;
  progress.start("links", "lines", 0);
  for (bool more = true; more;) {
    Side first, second;  // their dictionaries stay unused
    const auto add = [&reader](Side& side, const Dictionary& words, const std::vector<std::string_view>& tokens) {
      if (reader.usable()) {
        for (const std::string_view token : tokens) side.words.push_back(words.find(token));
      }
      side.start.push_back(side.words.size());
    };
    while (first.start.size() <= kBatch && (more = reader.next(first_tokens, second_tokens))) {
      add(first, model.first, first_tokens);
      add(second, model.second, second_tokens);
    }
    const std::size_t lines = first.start.size() - 1;
    write_lines(threads_from(options), lines, targets.files, [&](std::size_t line, std::vector<std::string>& texts) {
      const Words left = first.line(line), right = second.line(line);
      Alignment forward, reverse;
      LineLinks parts[2];
      const auto align = [&](const Model<float>& direction, Words source, Words target, Alignment& alignment) -> LineLinks {
        alignment = direction.align(source, target);
        return {alignment.links.data(), target.size,
                score(alignment.log_likelihood, source.size, target.size, direction.settings)};
      };
      if (left.size > 0 && (targets.both || !targets.reversed)) parts[0] = align(*model.forward, left, right, forward);
      if (left.size > 0 && (targets.both || targets.reversed)) parts[1] = align(*model.reverse, right, left, reverse);
      append_line(targets, parts[0], parts[1], left.size == 0, texts);
    });
    progress.add(lines, 0);
  }
  progress.finish();
  reader.report(std::cerr);
  if (options.has('x') && reader.skipped() > 0) refuse(reader.skipped());
  complete(targets.files);
  return 0;
}

void print_tokens(const std::vector<std::string_view>& tokens) {
  for (const std::string_view token : tokens) std::cout << token << ' ';
}

// One answer per question, at once: the program may be driven through a pipe.
int force_align(const Options& options) {
  const Lexicon<double> lexicon =
      load_text_table(options.text('f'), settings_from(options), options.has('T'), options.has('m'), std::cerr);
  const bool reversed = options.has('r');
  PairReader reader(options.required('i'));
  std::vector<std::string_view> first, second;
  while (reader.next(first, second)) {
    std::string text;
    double value = 0;
    if (reader.usable()) {
      std::vector<Word> source, target;
      for (const std::string_view token : reversed ? second : first) source.push_back(lexicon.source.find(token));
      for (const std::string_view token : reversed ? first : second) target.push_back(lexicon.target.find(token));
      const std::uint32_t n = static_cast<std::uint32_t>(source.size()), m = static_cast<std::uint32_t>(target.size());
      const Alignment alignment = lexicon.model.align({source.data(), n}, {target.data(), m});
      append_pharaoh(alignment.links.data(), m, reversed, text);
      value = score(alignment.log_likelihood, n, m, lexicon.model.settings);
    }
    print_tokens(first);
    std::cout << "||| ";
    print_tokens(second);
    std::cout << "||| " << text << " ||| " << to_text(value, 6) << '\n';
    finish_output();
  }
  reader.report(std::cerr);
  if (options.has('x') && reader.skipped() > 0) refuse(reader.skipped());
  return 0;
}

// -- the command line ------------------------------------------------------------------------------------------------

void check(const Options& options) {
  options.required('i');
  for (const char letter : {'B', 'S', 'A', 'p', 'f', 'c'}) {
    if (options.has(letter)) options.required(letter);
  }
  options.number('t', 0, -kHuge, 0);
  options.count('b', 1, 1);
  settings_from(options);
  threads_from(options);
  const auto not_together = [&](char a, char b, const char* reason) {
    if (options.has(a) && options.has(b)) throw UsageError(std::string("-") + a + " and -" + b + ": " + reason);
  };
  not_together('f', 'p', "one uses a saved table, the other saves one; give one of them");
  not_together('A', 'f', "both are saved models; give one of them");
  not_together('A', 'S', "one uses a saved model, the other saves one; give one of them");
  not_together('A', 'p', "one uses a saved model, the other saves one; give one of them");
  not_together('f', 'S', "one uses a saved table, the other saves a model; give one of them");
  not_together('f', 'B', "a table saved as text holds one direction; use --save-model and --apply");
  not_together('p', 'B', "a table saved as text holds one direction; use --save-model");
  not_together('r', 'B', "--both makes the reverse direction too; leave -r away");
  not_together('D', 'S', "models are saved in single precision; leave --double away");
  not_together('f', 'E', "nothing is trained; leave --estimate away");
  not_together('f', 'D', "saved tables are used in double precision; leave --double away");
  for (const char letter : {'d', 'o', 'v', 'I', 'q', 'N', 'a', 'T', 'D', 'E', 'm'}) {
    not_together('A', letter, "the saved model brings its own settings; leave the second option away");
  }
  if (options.has('c') && !options.has('B')) throw UsageError("--symmetrise needs --both PREFIX");
  if (options.text('i') == "-" && options.text('f') == "-") throw UsageError("-i and -f cannot both be standard input");
  const auto needs = [&](char letter, char other, const char* sentence) {
    if (!options.has(letter) || options.has(other)) return;
    if (options.has('x')) throw UsageError(sentence);
    std::cerr << "warning: " << sentence << '\n';
  };
  needs('m', 'f', "-m has an effect only with -f; in training the ratio is measured");
  needs('o', 'd', "-o has an effect only with -d");
  needs('T', 'd', "-T has an effect only with -d");
  needs('t', 'p', "-t has an effect only with -p");
  if (!options.has('f')) needs('a', 'v', "-a has an effect only with -v");
  if (options.has('v') && !options.has('D') && settings_from(options).alpha < 0.0075) {
    std::cerr << "warning: with so small an --alpha single precision loses rare words; give --double\n";
  }
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
  check(options);
  if (options.has('A')) return apply_model(options);
  if (options.has('f')) return force_align(options);
  return options.has('D') ? train_and_align<double>(options) : train_and_align<float>(options);
}

}  // namespace
}  // namespace weam

int main(int argc, char** argv) { return weam::guarded("fast_align", weam::run, argc, argv); }
