// The program. Everything it does is in app/cli.
#include <cstdio>

#include "app/cli.h"

int main(int argc, char** argv) { return belay::app::run({argv + 1, argv + argc}); }
