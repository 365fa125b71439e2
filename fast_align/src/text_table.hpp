// Tables as text, as the reference program writes and reads them: lines "source target log-probability". What such a line
// has no place for, the tension and the length ratio, stands in FILE.params.
#pragma once

#include <iosfwd>
#include <string>

#include "model.hpp"

namespace weam {

// A trained direction with its words.
template <typename Real>
struct Lexicon {
  Dictionary source, target;
  Model<Real> model;
};

// Entries whose log-probability lies more than -`beam` below the best of their row are left out. Faults of the streams are
// left to their owners.
template <typename Real>
void save_text_table(std::ostream& table, std::ostream& parameters, const Dictionary& source, const Dictionary& target,
                     const Model<Real>& model, double beam);

// Reads the table, and tension and length ratio from FILE.params unless `keep_tension`, `keep_ratio` forbid it; `log` gets
// a warning if there is no such file and it would be needed.
Lexicon<double> load_text_table(const std::string& path, const Settings& settings, bool keep_tension, bool keep_ratio,
                                std::ostream& log);

}  // namespace weam
