// Running a function in several threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace weam {

// body(thread) for thread = 0..threads-1, each in a thread of its own (0 in the calling one). Waits for all; the first
// exception, by number of the thread, is thrown again.
template <typename Body>
void in_threads(unsigned threads, Body body) {
  std::vector<std::exception_ptr> faults(threads);
  const auto guarded = [&](unsigned thread) {
    try {
      body(thread);
    } catch (...) {
      faults[thread] = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  others.reserve(threads);
  unsigned started = 1;
  try {
    for (; started < threads; ++started) others.emplace_back(guarded, started);
  } catch (const std::system_error&) {  // the system gives no more threads: the calling one does their part
  }
  guarded(0);
  for (unsigned thread = started; thread < threads; ++thread) guarded(thread);
  for (std::thread& other : others) other.join();
  for (const std::exception_ptr& fault : faults) {
    if (fault) std::rethrow_exception(fault);
  }
}

// body(thread, task) for task = 0..tasks-1; a free thread takes the next task.
template <typename Body>
void for_each_task(unsigned threads, std::size_t tasks, Body body) {
  std::atomic<std::size_t> next{0};
  in_threads(threads, [&](unsigned thread) {
    for (std::size_t task = next++; task < tasks; task = next++) body(thread, task);
  });
}

}  // namespace weam
