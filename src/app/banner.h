#pragma once
// What a person reads when the gateway starts, and when the account changes.
#include <string>

#include "accounts/service.h"
#include "app/cli.h"
#include "base/clock.h"

namespace belay::app {

class Service;
class Demo;

void print_banner(const Service& service, const ServeOptions& options, const Demo* demo,
                  milliseconds took);
// One log line when the account's phase, plan or model list changes.
void log_account(const accounts::AccountView& view);
void write_ready_file(const std::string& path, uint16_t api, uint16_t auth);

}  // namespace belay::app
