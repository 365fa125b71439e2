#include "prior.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace weam {

Shapes::Shapes(const Side& source, const Side& target) {
  const std::size_t lines = source.start.size() - 1;
  of_line_.assign(lines, kNone);
  std::unordered_map<std::uint64_t, std::uint32_t> known;
  for (std::size_t line = 0; line < lines; ++line) {
    const std::uint32_t n = source.line(line).size, m = target.line(line).size;
    if (n == 0) continue;
    const auto [found, added] = known.emplace(std::uint64_t{n} << 32 | m, static_cast<std::uint32_t>(shapes_.size()));
    if (added) {
      shapes_.push_back({n, m, 0, positions_});
      positions_ += m;
    }
    of_line_[line] = found->second;
    ++shapes_[found->second].lines;
  }
}

LengthCounts Shapes::counts() const {
  LengthCounts counts;
  for (const Shape& shape : shapes_) counts[{shape.n, shape.m}] = shape.lines;
  return counts;
}

double Shapes::length_ratio() const {
  // By shape in order of size, so that the sum does not depend on the order of the lines.
  double sum = 0, pairs = 0;
  for (const auto& [size, lines] : counts()) {
    sum += static_cast<double>(lines) * size.second / size.first;
    pairs += static_cast<double>(lines);
  }
  return pairs > 0 ? sum / pairs : 1.0;
}

template <typename Real>
Prior<Real>::Prior(const Shapes& shapes) : scale_(shapes.positions()) {
  std::uint32_t most_n = 0, most_m = 0;
  for (const Shapes::Shape& shape : shapes.shapes()) {
    most_n = std::max(most_n, shape.n);
    most_m = std::max(most_m, shape.m);
  }
  source_start_.assign(most_n + std::size_t{1}, 0);
  target_start_.assign(most_m + std::size_t{1}, 0);
  for (const Shapes::Shape& shape : shapes.shapes()) source_start_[shape.n] = target_start_[shape.m] = 1;
  std::uint64_t places = 0;
  for (std::uint64_t n = 1; n <= most_n; ++n) {
    const bool occurs = source_start_[n] == 1;
    source_start_[n] = places;
    places += occurs ? 3 * n : 0;
  }
  source_.resize(places);
  places = 0;
  for (std::uint64_t m = 1; m <= most_m; ++m) {
    const bool occurs = target_start_[m] == 1;
    target_start_[m] = places;
    places += occurs ? 3 * m : 0;
  }
  target_.resize(places);
}

template <typename Real>
void Prior<Real>::prepare(const Shapes& shapes, const Settings& settings) {
  const double tension = settings.favor_diagonal ? settings.tension : 0.0;
  std::vector<bool> done_n(source_start_.size(), false), done_m(target_start_.size(), false);
  for (const Shapes::Shape& shape : shapes.shapes()) {
    const std::uint32_t n = shape.n, m = shape.m;
    if (!done_n[n]) {
      done_n[n] = true;
      Real* out = source_.data() + source_start_[n];
      for (std::uint32_t i = 1; i <= n; ++i) {
        const double place = static_cast<double>(i) / n;
        *out++ = static_cast<Real>(std::exp(-tension * place));
        *out++ = static_cast<Real>(std::exp(tension * place));
        *out++ = static_cast<Real>(place);
      }
    }
    if (!done_m[m]) {
      done_m[m] = true;
      Real* out = target_.data() + target_start_[m];
      for (std::uint32_t j = 1; j <= m; ++j) {
        const double place = static_cast<double>(j) / m;
        out[j - 1] = static_cast<Real>(std::exp(tension * place));
        out[m + j - 1] = static_cast<Real>(std::exp(-tension * place));
        out[2 * std::uint64_t{m} + j - 1] = static_cast<Real>((j - 1.0) / m);
      }
    }
    for (std::uint32_t j = 1; j <= m; ++j) {
      scale_[shape.first + j - 1] = static_cast<Real>(
          settings.favor_diagonal ? (1.0 - settings.null_probability) / diagonal_sum(j, n, m, settings.tension)
                                  : 1.0 / (n + (settings.use_null ? 1.0 : 0.0)));
    }
  }
}

template class Prior<float>;
template class Prior<double>;

}  // namespace weam
