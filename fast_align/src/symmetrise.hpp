// One set of links from two directions.
//
// The heuristics are those of Och & Ney (Computational Linguistics 2003, section 3) in the exact form of Koehn et al.
// (IWSLT 2005, "Edinburgh System Description", figure 1). F is the set of links of the forward direction, R of the reverse:
//
//   intersect            F and R
//   union                F or R
//   grow-diag            Start with A = F and R. Go through the links (i, j) of A, i ascending, then j ascending. For each,
//                        look at its eight neighbours in the order (i-1,j) (i,j-1) (i+1,j) (i,j+1) (i-1,j-1) (i-1,j+1)
//                        (i+1,j-1) (i+1,j+1). A neighbour in (F or R) is added if its source word or its target word
//                        has no link in A yet. Additions count at once: a link added ahead of the present one is visited
//                        in the same pass. Repeat until a pass adds nothing.
//   grow-diag-final      Then go through the links of F, after that those of R (i ascending, then j): add one if its source
//                        word or its target word has no link yet.
//   grow-diag-final-and  The same, but both words must have no link yet.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weam {

using Link = std::pair<std::int64_t, std::int64_t>;  // source position, target position; 0-based
using Links = std::vector<Link>;                       // ascending, none twice

enum class Heuristic { kIntersect, kUnion, kGrowDiag, kGrowDiagFinal, kGrowDiagFinalAnd };

// Throws UsageError for an unknown name; the names are those above.
Heuristic heuristic_named(const std::string& name);

// Brings links into the order that the functions below need.
void sort_links(Links& links);

Links symmetrise(const Links& forward, const Links& reverse, Heuristic heuristic);

// "0-0 1-2"; empty text is no links. Throws UserError "WHERE: ..." for anything else.
Links parse_links(std::string_view text, const std::string& where);
void append_links(const Links& links, std::string& text);

}  // namespace weam
