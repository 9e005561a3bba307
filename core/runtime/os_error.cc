// See os_error.h.

#include "core/runtime/os_error.h"

#include <cerrno>
#include <string>
#include <system_error>

namespace klamm::runtime {

Failure failure_from_errno(int number) {
    switch (number) {
        case ENOENT:
        case ENOTDIR: return Failure::not_found;
        case EEXIST:
        case ENOTEMPTY:
        case EADDRINUSE: return Failure::exists;
        case ENOSPC:
        case EDQUOT:
        case EFBIG: return Failure::no_space;
        case EINVAL:
        case EISDIR:
        case ENAMETOOLONG:
        case ELOOP:
        case EBADF:
        case EADDRNOTAVAIL: return Failure::invalid;
        case EMFILE:
        case ENFILE:
        case ENOMEM: return Failure::limit;
        case EOPNOTSUPP:
        case ENOSYS:
        case EAFNOSUPPORT: return Failure::unsupported;
        default: return Failure::io;
    }
}

Error error_from_errno(int number, std::string_view what, std::string_view path) {
    std::string text(what);
    text.append(" '").append(path).append("': ");
    text.append(std::system_category().message(number));
    return {failure_from_errno(number), std::move(text)};
}

}  // namespace klamm::runtime
