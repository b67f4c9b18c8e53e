#include "validation/microbench/bootstrap.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

constexpr std::uint32_t kMostBytes = 1U << 20U;
constexpr std::chrono::milliseconds kRetry{20};
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& problem, const std::string& found = std::strerror(errno)) {
  throw UserError({.file = "TCP bootstrap", .found = found, .problem = problem});
}

void send_all(int socket, const void* data, std::size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t sent = ::send(socket, next, bytes, MSG_NOSIGNAL);
    if (sent <= 0) {
      fail("another rank went away");
    }
    next += sent;
    bytes -= static_cast<std::size_t>(sent);
  }
}

void receive_all(int socket, void* data, std::size_t bytes) {
  char* next = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = ::recv(socket, next, bytes, 0);
    if (got <= 0) {
      fail("another rank went away", got == 0 ? "its connection closed" : std::strerror(errno));
    }
    next += got;
    bytes -= static_cast<std::size_t>(got);
  }
}

void send_number(int socket, std::uint32_t number) {
  const std::uint32_t wire = htonl(number);
  send_all(socket, &wire, sizeof(wire));
}

std::uint32_t receive_number(int socket) {
  std::uint32_t wire = 0;
  receive_all(socket, &wire, sizeof(wire));
  return ntohl(wire);
}

void send_text(int socket, std::string_view text) {
  send_number(socket, static_cast<std::uint32_t>(text.size()));
  send_all(socket, text.data(), text.size());
}

std::string receive_text(int socket) {
  const std::uint32_t size = receive_number(socket);
  if (size > kMostBytes) {
    fail("what answers on the port is no rank of this measurement", fmt::format("a message of {} bytes", size));
  }
  std::string text(size, '\0');
  receive_all(socket, text.data(), text.size());
  return text;
}

Clock::time_point deadline_after(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

sockaddr_in resolve(const BootstrapAddress& address) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.host.c_str(), nullptr, &hints, &found) != 0 || found == nullptr) {
    fail("the host of rank 0 has no address", address.host);
  }
  sockaddr_in out{};
  std::memcpy(&out, found->ai_addr, sizeof(out));
  ::freeaddrinfo(found);
  out.sin_port = htons(static_cast<std::uint16_t>(address.port));
  return out;
}

void send_without_delay(int socket) {
  const int one = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

}  // namespace

Bootstrap::Bootstrap(int rank, int size, const BootstrapAddress& address, double seconds) : rank_(rank), size_(size) {
  if (size < 1 || rank < 0 || rank >= size) {
    throw UserError({.file = "TCP bootstrap",
                     .found = fmt::format("rank {} of {}", rank, size),
                     .allowed = "0 <= rank < size",
                     .problem = "this is no rank"});
  }
  if (rank == 0) {
    peers_.assign(static_cast<std::size_t>(size), -1);
    listen_for_others(address, seconds);
  } else {
    connect_to_first(address, seconds);
  }
}

Bootstrap::~Bootstrap() {
  for (const int peer : peers_) {
    if (peer >= 0) {
      ::close(peer);
    }
  }
}

void Bootstrap::listen_for_others(const BootstrapAddress& address, double seconds) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  const int one = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  const sockaddr_in where = resolve(address);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&where), sizeof(where)) != 0 ||
      ::listen(listener, size_) != 0) {
    ::close(listener);
    fail(fmt::format("rank 0 cannot listen on {}:{}", address.host, address.port));
  }
  const Clock::time_point deadline = deadline_after(seconds);
  for (int missing = size_ - 1; missing > 0; --missing) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd waiting{.fd = listener, .events = POLLIN, .revents = 0};
    if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) {
      ::close(listener);
      fail("not every rank came", fmt::format("{} of {} ranks missing after {} s", missing, size_, seconds));
    }
    const int peer = ::accept(listener, nullptr, nullptr);
    send_without_delay(peer);
    const std::uint32_t rank = receive_number(peer);
    if (rank == 0 || rank >= static_cast<std::uint32_t>(size_) || peers_[rank] >= 0) {
      ::close(peer);
      ::close(listener);
      fail("two processes claim one rank, or one is none of this measurement", fmt::format("rank {}", rank));
    }
    peers_[rank] = peer;
  }
  ::close(listener);
}

void Bootstrap::connect_to_first(const BootstrapAddress& address, double seconds) {
  const sockaddr_in where = resolve(address);
  const Clock::time_point deadline = deadline_after(seconds);
  while (true) {
    const int peer = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::connect(peer, reinterpret_cast<const sockaddr*>(&where), sizeof(where)) == 0) {
      peers_.push_back(peer);
      send_without_delay(peer);
      send_number(peer, static_cast<std::uint32_t>(rank_));
      return;
    }
    ::close(peer);
    if (Clock::now() > deadline) {
      fail(fmt::format("rank {} cannot reach rank 0 at {}:{}", rank_, address.host, address.port));
    }
    std::this_thread::sleep_for(kRetry);
  }
}

std::vector<std::string> Bootstrap::all_gather(std::string_view mine) {
  TY_ASSERT(mine.size() <= kMostBytes);
  std::vector<std::string> all(static_cast<std::size_t>(size_));
  if (rank_ != 0) {
    send_text(peers_[0], mine);
    for (std::string& text : all) {
      text = receive_text(peers_[0]);
    }
    return all;
  }
  all[0] = mine;
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    all[rank] = receive_text(peers_[rank]);
  }
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    for (const std::string& text : all) {
      send_text(peers_[rank], text);
    }
  }
  return all;
}

std::string Bootstrap::broadcast(std::string_view from_rank_0) {
  return all_gather(rank_ == 0 ? from_rank_0 : std::string_view{}).front();
}

}  // namespace trainyard
