#pragma once
// What a person reads when the gateway starts.
#include <string>

#include "app/cli.h"
#include "base/clock.h"

namespace belay::app {

class Service;
class Demo;

void print_banner(const Service& service, const ServeOptions& options, const Demo* demo,
                  milliseconds took);
void write_ready_file(const std::string& path, uint16_t api, uint16_t auth);

}  // namespace belay::app
