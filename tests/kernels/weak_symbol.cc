// An object that scripts/check-weak-symbols must refuse: its copy of an inline function is weak.
inline __attribute__((noinline)) int Weak(int value) { return value + 1; }

int Strong(int value);
int Strong(int value) { return Weak(value); }
