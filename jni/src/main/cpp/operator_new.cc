// The only parts of a C++ runtime library that tied uses. Defining them here keeps such a library out of
// libtied_jni.so: its own versions would add exceptions, the demangling of their names and an unwinder, 90 to 280 KB.
// With libc++ the constant std::nothrow alone does that, because the object that holds it refers to the rest. None of
// them is exported (exports.map).
#include <cstdlib>
#include <new>

namespace std {  // NOLINT(cert-dcl58-cpp): <new> declares it for a runtime library to define
const nothrow_t nothrow{};
}

// NOLINTBEGIN(cppcoreguidelines-no-malloc,misc-new-delete-overloads)
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size == 0 ? 1 : size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size == 0 ? 1 : size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND(cppcoreguidelines-no-malloc,misc-new-delete-overloads)
