// Files that NumPy would not write must give a message that names the file and the fault, and no crash.
#include "tests/tools/tied/command.h"
#include "tests/tools/tied/npy_bytes.h"

namespace tied::test {
namespace {

struct BadNpy {
  const char* name;
  std::string file;
  const char* message;
};

std::string Header(const std::string& text) { return NpyWithHeader(text, std::string(16, '\0')); }

std::vector<BadNpy> BadFiles() {
  const std::string good = NpyIds("(2,)", {1, 2});
  return {
      {"Empty", "", "is not a .npy file"},
      {"WrongMagic", "\x93NUMPZ" + good.substr(6), "is not a .npy file"},
      {"FutureVersion", good.substr(0, 6) + '\x09' + good.substr(7), "version 9"},
      {"CutInPreamble", good.substr(0, 9), "is not a .npy file"},
      {"CutInHeader", good.substr(0, 40), "truncated in its header"},
      {"CutInData", good.substr(0, good.size() - 1), "is truncated: 15 bytes"},
      {"ExtraData", good + "x", "more data"},
      {"HugeHeader", std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12), "header of 4294967295 bytes"},
      {"HugeShape", NpyOf("<i8", "(4611686018427387904,)", ""), "too large for the address space"},
      {"LargeShape", NpyOf("<i8", "(268435456,)", "12345678"), "is truncated: 8 bytes"},
      {"ProductOverflows", NpyOf("<i8", "(4294967296, 4294967296)", ""), "too large for the address space"},
      {"NegativeDim", NpyOf("<i8", "(-1,)", ""), "'shape'"},
      {"DimTooLong", NpyOf("<i8", "(99999999999999999999,)", ""), "'shape'"},
      {"DimIsNoNumber", NpyOf("<i8", "(x,)", ""), "'shape'"},
      {"ShapeIsNoTuple", NpyOf("<i8", "2", std::string(16, '\0')), "'shape'"},
      {"TooManyDims", Header("{'descr':'<i8','fortran_order':False,'shape':(" + std::string(130, '1') + "1)}\n"),
       "'shape'"},
      {"BigEndian", NpyOf(">i8", "(2,)", std::string(16, '\0')), "dtype >i8"},
      {"Float64", NpyOf("<f8", "(2,)", std::string(16, '\0')), "dtype <f8"},
      {"Structured", Header("{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (2,), }\n"), "dtype"},
      {"Fortran", Header("{'descr': '<i8', 'fortran_order': True, 'shape': (2, 1), }\n"), "Fortran"},
      {"NoShape", Header("{'descr': '<i8', 'fortran_order': False}\n"), "once each"},
      {"KeyTwice", Header("{'descr': '<i8', 'descr': '<i8', 'fortran_order': False, 'shape': (2,)}\n"), "once each"},
      {"UnknownKey", Header("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), 'x': 1}\n"), "once each"},
      {"NoDictionary", Header("[]\n"), "a dictionary"},
      {"NoHeader", NpyWithHeader("", ""), "a dictionary"},
      {"OpenDictionary", Header("{'descr': '<i8',"), "a key"},
      {"OpenString", Header("{'descr: '<i8"), "bad .npy header"},
      {"BehindDictionary", Header("{'descr': '<i8', 'fortran_order': False, 'shape': (2,)} x\n"),
       "after the dictionary"},
      {"NoBool", Header("{'descr': '<i8', 'fortran_order': 0, 'shape': (2,)}\n"), "True or False"},
  };
}

class HostileNpy : public CliTest, public testing::WithParamInterface<BadNpy> {};

TEST_P(HostileNpy, IsRefusedByName) {
  Write("bad.npy", GetParam().file);
  ExpectFailure({"embed", "model.tied", "--ids-file", "bad.npy", "-o", "e.npy"}, 1, {"bad.npy", GetParam().message});
  ExpectFailure({"embed", "model.tied", "--ids-file", "-", "-o", "e.npy"}, 1, {"standard input", GetParam().message},
                GetParam().file);
}

INSTANTIATE_TEST_SUITE_P(Files, HostileNpy, testing::ValuesIn(BadFiles()),
                         [](const auto& each) { return each.param.name; });

struct GoodNpy {
  const char* name;
  std::string file;
};

class UnusualNpy : public CliTest, public testing::WithParamInterface<GoodNpy> {};

TEST_P(UnusualNpy, IsRead) {
  const ChildOutcome outcome = Tied({"embed", "model.tied", "--ids-file", "-", "-o", "-"}, GetParam().file);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(SplitNpy(outcome.out).Values<float>(), model_.Embed({1, 2}));
}

const std::string kTwoIds("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 16);
const char kText[] = "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n";

INSTANTIATE_TEST_SUITE_P(
    Files, UnusualNpy,
    testing::Values(GoodNpy{"Version2", NpyWithHeader(kText, kTwoIds, 2)},
                    GoodNpy{"Version3", NpyWithHeader(kText, kTwoIds, 3)},
                    GoodNpy{"KeysInAnyOrder",
                            NpyWithHeader("{'shape':(2,),\"fortran_order\":False,'descr':'<i8'}", kTwoIds)},
                    GoodNpy{"HeaderOf200Bytes", NpyWithHeader(kText + std::string(142, ' '), kTwoIds)},
                    GoodNpy{"FortranOfOneDimension",
                            NpyWithHeader("{'descr': '<i8', 'fortran_order': True, 'shape': (2,), }\n", kTwoIds)}),
    [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace tied::test
