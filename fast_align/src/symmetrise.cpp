#include "symmetrise.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "io.hpp"

namespace weam {

namespace {

constexpr std::array<std::pair<const char*, Heuristic>, 5> kNames = {{
    {"intersect", Heuristic::kIntersect},
    {"union", Heuristic::kUnion},
    {"grow-diag", Heuristic::kGrowDiag},
    {"grow-diag-final", Heuristic::kGrowDiagFinal},
    {"grow-diag-final-and", Heuristic::kGrowDiagFinalAnd},
}};

constexpr std::array<Link, 8> kNeighbours = {{{-1, 0}, {0, -1}, {1, 0}, {0, 1}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}}};

// Links that know which words they cover.
class Growing {
 public:
  explicit Growing(Links start) : links_(std::move(start)) {
    for (const Link& link : links_) cover(link);
  }
  void add(const Link& link) {
    links_.insert(link);
    cover(link);
  }
  bool covers_source(const Link& link) const { return sources_.count(link.first) > 0; }
  bool covers_target(const Link& link) const { return targets_.count(link.second) > 0; }
  const Links& links() const { return links_; }

 private:
  void cover(const Link& link) {
    sources_.insert(link.first);
    targets_.insert(link.second);
  }
  Links links_;
  std::set<std::int64_t> sources_, targets_;
};

void grow_diag(Growing& grown, const Links& candidates) {
  for (bool added = true; added;) {
    added = false;
    // A set keeps its iterators when it grows: links added behind are met in the next pass, those ahead in this one.
    for (const Link& link : grown.links()) {
      for (const Link& step : kNeighbours) {
        const Link neighbour{link.first + step.first, link.second + step.second};
        if (grown.covers_source(neighbour) && grown.covers_target(neighbour)) continue;
        if (candidates.count(neighbour) == 0) continue;
        grown.add(neighbour);
        added = true;
      }
    }
  }
}

void add_final(Growing& grown, const Links& direction, bool both) {
  for (const Link& link : direction) {
    const bool source = grown.covers_source(link), target = grown.covers_target(link);
    if (both ? !source && !target : !source || !target) grown.add(link);
  }
}

}  // namespace

Heuristic heuristic_named(const std::string& name) {
  std::string known;
  for (const auto& [text, heuristic] : kNames) {
    if (name == text) return heuristic;
    known += (known.empty() ? "" : ", ") + std::string(text);
  }
  throw UsageError("'" + name + "' is not a heuristic; known are " + known);
}

Links symmetrise(const Links& forward, const Links& reverse, Heuristic heuristic) {
  Links both, either;
  std::set_intersection(forward.begin(), forward.end(), reverse.begin(), reverse.end(), std::inserter(both, both.end()));
  if (heuristic == Heuristic::kIntersect) return both;
  std::set_union(forward.begin(), forward.end(), reverse.begin(), reverse.end(), std::inserter(either, either.end()));
  if (heuristic == Heuristic::kUnion) return either;
  Growing grown(std::move(both));
  grow_diag(grown, either);
  if (heuristic != Heuristic::kGrowDiag) {
    const bool both_free = heuristic == Heuristic::kGrowDiagFinalAnd;
    add_final(grown, forward, both_free);
    add_final(grown, reverse, both_free);
  }
  return grown.links();
}

Links parse_links(std::string_view text, const std::string& where) {
  std::vector<std::string_view> tokens;
  split_tokens(text, tokens);
  Links links;
  for (const std::string_view token : tokens) {
    const std::size_t dash = token.find('-');
    std::uint32_t i = 0, j = 0;
    if (dash == std::string_view::npos || !parse_number(token.substr(0, dash), i) ||
        !parse_number(token.substr(dash + 1), j)) {
      throw UserError(where + ": '" + std::string(token) + "' is not a link; links are written i-j with positions from 0");
    }
    links.emplace(i, j);
  }
  return links;
}

std::string to_text(const Links& links) {
  std::string text;
  for (const Link& link : links) {
    if (!text.empty()) text += ' ';
    text += std::to_string(link.first) + '-' + std::to_string(link.second);
  }
  return text;
}

}  // namespace weam
