// Dates as numbers, proleptic Gregorian, from the year 0 on: what rtc.ts needs to turn seconds into cells and back.

/** Days from 0000-01-01 to 1970-01-01. */
export const DAYS_TO_1970: u64 = 719528;

/** Days from 0000-01-01 to the first of January of `year`: 365 a year, and the leap years before it, year 0 being one. */
export function daysToYear(year: u32): u32 {
  return 365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

/** The year that a day lies in. The first guess is never late, and a few years early at most. */
export function yearOf(day: u32): u32 {
  let year = day / 366;
  while (daysToYear(year + 1) <= day) year++;
  return year;
}

/** Days from the first of January to the first of `month`, 1..12. */
export function daysToMonth(year: u32, month: u32): u32 {
  // Months alternate 31, 30 with a fold at August: 367/12 days a month on average follow that, up to February's missing days.
  const days = (367 * month - 362) / 12;
  if (month <= 2) return days;
  return daysToYear(year + 1) - daysToYear(year) == 366 ? days - 1 : days - 2;
}

/** The month, 1..12, of a day counted from the first of January. */
export function monthOf(year: u32, dayOfYear: u32): u32 {
  let month: u32 = 12;
  while (daysToMonth(year, month) > dayOfYear) month--;
  return month;
}
