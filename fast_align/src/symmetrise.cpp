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

// The links of both directions, in ascending order, and which of them have been accepted. All heuristics only choose among
// them.
class Growing {
 public:
  Growing(const Links& forward, const Links& reverse) {
    std::set_union(forward.begin(), forward.end(), reverse.begin(), reverse.end(), std::back_inserter(links_));
    accepted_.assign(links_.size(), false);
    std::vector<std::int64_t> targets;
    for (const Link& link : links_) targets.push_back(link.second);
    std::sort(targets.begin(), targets.end());
    targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
    for (std::size_t k = 0; k < links_.size(); ++k) {
      const bool same = k > 0 && links_[k - 1].first == links_[k].first;
      source_of_.push_back(k == 0 ? 0 : source_of_.back() + (same ? 0 : 1));
      target_of_.push_back(static_cast<std::size_t>(
          std::lower_bound(targets.begin(), targets.end(), links_[k].second) - targets.begin()));
    }
    source_covered_.assign(links_.size(), false);
    target_covered_.assign(targets.size(), false);
  }

  std::size_t size() const { return links_.size(); }
  const Link& link(std::size_t k) const { return links_[k]; }
  std::size_t find(const Link& link) const {  // size() if it is in neither direction
    const auto found = std::lower_bound(links_.begin(), links_.end(), link);
    return found != links_.end() && *found == link ? static_cast<std::size_t>(found - links_.begin()) : size();
  }
  bool accepted(std::size_t k) const { return accepted_[k]; }
  bool covers_source(std::size_t k) const { return source_covered_[source_of_[k]]; }
  bool covers_target(std::size_t k) const { return target_covered_[target_of_[k]]; }
  void accept(std::size_t k) {
    accepted_[k] = true;
    source_covered_[source_of_[k]] = true;
    target_covered_[target_of_[k]] = true;
  }
  Links take() const {
    Links links;
    for (std::size_t k = 0; k < size(); ++k) {
      if (accepted_[k]) links.push_back(links_[k]);
    }
    return links;
  }

 private:
  Links links_;
  std::vector<std::size_t> source_of_, target_of_;  // the words of each link, counted without gaps
  std::vector<char> accepted_, source_covered_, target_covered_;
};

void grow_diag(Growing& grown) {
  for (bool added = true; added;) {
    added = false;
    for (std::size_t k = 0; k < grown.size(); ++k) {
      if (!grown.accepted(k)) continue;
      for (const Link& step : kNeighbours) {
        const std::size_t neighbour = grown.find({grown.link(k).first + step.first, grown.link(k).second + step.second});
        if (neighbour == grown.size() || (grown.covers_source(neighbour) && grown.covers_target(neighbour))) continue;
        grown.accept(neighbour);
        added = true;
      }
    }
  }
}

void add_final(Growing& grown, const Links& direction, bool both) {
  for (const Link& link : direction) {
    const std::size_t k = grown.find(link);
    const bool source = grown.covers_source(k), target = grown.covers_target(k);
    if (both ? !source && !target : !source || !target) grown.accept(k);
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

void sort_links(Links& links) {
  std::sort(links.begin(), links.end());
  links.erase(std::unique(links.begin(), links.end()), links.end());
}

Links symmetrise(const Links& forward, const Links& reverse, Heuristic heuristic) {
  Links both;
  if (heuristic == Heuristic::kUnion) {
    std::set_union(forward.begin(), forward.end(), reverse.begin(), reverse.end(), std::back_inserter(both));
    return both;
  }
  std::set_intersection(forward.begin(), forward.end(), reverse.begin(), reverse.end(), std::back_inserter(both));
  if (heuristic == Heuristic::kIntersect) return both;
  Growing grown(forward, reverse);
  for (const Link& link : both) grown.accept(grown.find(link));
  grow_diag(grown);
  if (heuristic != Heuristic::kGrowDiag) {
    const bool both_free = heuristic == Heuristic::kGrowDiagFinalAnd;
    add_final(grown, forward, both_free);
    add_final(grown, reverse, both_free);
  }
  return grown.take();
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
    links.emplace_back(i, j);
  }
  sort_links(links);
  return links;
}

void append_links(const Links& links, std::string& text) {
  bool first = true;
  for (const Link& link : links) {
    if (!first) text += ' ';
    first = false;
    text += std::to_string(link.first) + '-' + std::to_string(link.second);
  }
}

}  // namespace weam
